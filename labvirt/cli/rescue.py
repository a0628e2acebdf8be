# SPDX-License-Identifier: MIT
"""labvirt rescue ..."""

from __future__ import annotations

from pathlib import Path

import click

from labvirt import shapes
from labvirt.cli import progress, words
from labvirt.cli.amounts import moment, size
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.job import Job
from labvirt.usecases import rescue as cases


@click.group(cls=Noun)
def rescue() -> None:
    """What guests had written when their run ended: kept for a while. RUN looks like lab-a-07.g3; a guest's or terminal's name
    means its last one.

    \b
    labvirt rescue list
    labvirt rescue files lab-a-07.g3 1/home/student --to /tmp/thesis
    """


@rescue.command("list")
@click.option("--guest", type=words.GUEST, help="Only of this guest or terminal.")
@pass_session
def list_kept(session: Session, /, guest: str | None) -> None:
    """Kept overlays, the newest first."""
    with session.ports() as ports:
        found = cases.everything(ports, guest=guest)
    session.table(
        [shapes.kept(each) for each in found],
        ("RUN", "TERMINAL", "ENDED", "WHY", "WRITTEN", "DISKS", "GOES", "RUNS AS"),
        (
            (
                each.run,
                each.kept.terminal,
                moment(each.kept.ended_at),
                each.kept.why,
                size(each.kept.used_bytes),
                ", ".join(f"{disk.image} v{disk.version}" for disk in each.kept.disks),
                moment(each.goes_at),
                each.guest,
            )
            for each in found
        ),
        empty="Nothing is kept. What a guest had written is kept when its run ends, for as many hours as the setting rescue_hours says.",
    )


@rescue.command("start")
@click.argument("run", type=words.RUN)
@pass_session
def start_kept(session: Session, /, run: str) -> None:
    """Start it once more. On a special number of its lab and a new overlay: what is kept stays as it is."""
    with session.ports() as ports:
        guest = cases.start(ports, run, by=session.who)
    session.show(shapes.guest(guest), [f"{guest.name} runs what {guest.source} had written: labvirt guest show {guest.name}"])


@rescue.command("files")
@click.argument("run", type=words.RUN)
@click.argument("path", type=words.INSIDE, default="")
@click.option("--to", "target", type=words.FILE, help="Copy PATH into this new folder.")
@click.option("--disk", "place", type=click.IntRange(0, 63), help="Which of its disks (default: the first).")
@progress.detach_option
@pass_session
def kept_files(session: Session, /, run: str, path: str, target: Path | None, place: int | None, detach: bool) -> None:
    """List files of its disk, or copy them out. At PATH (without: its partitions). Nothing is started or mounted.

    \b
    labvirt rescue files lab-a-07.g3 1/home/student
    labvirt rescue files lab-a-07.g3 1/home/student/thesis.odt --to /tmp/thesis
    """
    with session.ports() as ports:
        if target is not None:

            def said(job: Job) -> list[str]:
                return [f"{path} is in {target}: {size(int(job.result.get('bytes', 0)))}."]

            job = cases.fetch(ports, run, path, target, place=place, by=session.who)
            progress.carry(session, ports, job, detach=detach, said=said)
            return
        found = cases.files(ports, run, path, place=place)
    session.table(
        found,
        ("PATH", "SIZE", "MODIFIED"),
        ((f"{each.path}/" if each.folder else each.path, "" if each.folder else size(each.size_bytes), each.modified) for each in found),
        empty=f"{path or 'The disk'} is empty.",
    )


@rescue.command("forget")
@click.argument("run", type=words.RUN)
@pass_session
def forget_kept(session: Session, /, run: str) -> None:
    """Remove it now. There is no way back."""
    with session.ports() as ports:
        gone = cases.forget(ports, run, by=session.who)
    session.show(gone, [f"{gone.run} is forgotten."])
