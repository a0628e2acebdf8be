# SPDX-License-Identifier: MIT
"""labvirt template ..."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import progress, words
from labvirt.cli.amounts import moment, size
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.contracts.engine import TemplateReport, TemplateStatus
from labvirt.domain.job import Job
from labvirt.usecases import templates as cases


@click.group(cls=Noun)
def template() -> None:
    """Booted, frozen guests from which instant clones start. A profile opts in; then they are made and removed by themselves.

    \b
    labvirt profile set desktop --instant-clone
    labvirt template list
    """


@template.command("list")
@click.option("--profile", type=words.NAME, help="Only of this profile.")
@pass_session
def list_templates(session: Session, /, profile: str | None) -> None:
    """What is kept on this host, what it costs, and what is missing."""
    with session.ports() as ports:
        found = cases.everything(ports) if profile is None else cases.of_profile(ports, profile)
    session.show(shapes.plain(found), _lines(found))


@template.command("build")
@click.argument("profile", type=words.NAME)
@progress.detach_option
@pass_session
def build_template(session: Session, /, profile: str, detach: bool) -> None:
    """Make a new one now. A guest of the profile is booted and frozen."""

    def said(job: Job) -> list[str]:
        return [f"{job.result['template']} is there: guests of {profile} start from it."]

    with session.ports() as ports:
        job = cases.build(ports, profile, by=session.who)
        progress.carry(session, ports, job, detach=detach, said=said)


@template.command("remove")
@click.argument("profile", type=words.NAME)
@click.argument("number", type=click.IntRange(1))
@pass_session
def remove_template(session: Session, /, profile: str, number: int) -> None:
    """Remove it now. While the profile opts in, one that is needed is made anew."""
    with session.ports() as ports:
        cases.remove(ports, profile, number)
    session.show({"profile": profile, "number": number}, [f"{profile}.t{number} is gone."])


def _lines(found: TemplateReport) -> list[str]:
    if found.problem:
        return [f"There are no instant clones: {found.problem}."]
    lines = [line for each in found.kept for line in _kept(each)]
    for wish in found.missing:
        disks = ", ".join(f"{disk.image} v{disk.version}" for disk in wish.disks)
        lines.append(f"{wish.profile}: none of {disks}{' with USB' if wish.usb else ''} yet; guests boot from their disks meanwhile")
    return lines or ["No profile wants instant clones: labvirt profile set NAME --instant-clone"]


def _kept(each: TemplateStatus) -> list[str]:
    made = each.template.made_from
    disks = ", ".join(f"{disk.image} v{disk.version}" for disk in made.disks)
    return [
        f"{each.template.name}: {disks}, made {moment(each.template.made_at)} by {made.ground.hypervisor}",
        f"  {size(each.disk_bytes)} on the disk, {size(each.memory_bytes)} of memory for all its clones together",
        f"  {f'serves nobody any more: {each.stale}' if each.stale else 'guests start from it'}"
        + (f"; in use by {', '.join(each.users)}" if each.users else ""),
    ]
