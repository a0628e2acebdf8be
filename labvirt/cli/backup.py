# SPDX-License-Identifier: MIT
"""labvirt backup, labvirt restore: a controller in one file, and out of it."""

from __future__ import annotations

from pathlib import Path

import click

from labvirt.cli import progress, words
from labvirt.cli.amounts import size
from labvirt.cli.session import Command, Session, pass_session
from labvirt.domain.job import Job
from labvirt.usecases import backups


@click.command(cls=Command)
@click.argument("file", type=words.FILE)
@click.option("--with-images", is_flag=True, help="The files of all versions too; else they are listed with their checksums.")
@progress.detach_option
@pass_session
def backup(session: Session, /, file: Path, with_images: bool, detach: bool) -> None:
    """Write the whole controller into one FILE, which only you can read. Everything may go on meanwhile."""
    with session.ports() as ports:
        job = backups.backup(ports, file, with_images=with_images, by=session.who)
        progress.carry(session, ports, job, detach=detach, said=_said)


def _said(job: Job) -> list[str]:
    told = job.result
    lines = [f"The backup is {told['target']} ({size(int(told['size_bytes']))}). It holds the site's secrets: keep it like them."]
    if told["images_without_file"] != "0":
        lines.append(f"The files of {told['images_without_file']} of {told['images']} versions are not in it: keep STATE/images elsewhere.")
    return lines


@click.command(cls=Command)
@click.argument("file", type=words.FILE)
@click.option("--into", type=words.FILE, required=True, help="The state folder to make: it must be absent or empty.")
@pass_session
def restore(session: Session, /, file: Path, into: Path) -> None:
    """Make a state folder out of a backup, whole or not at all."""
    facts = session.app.restore(file, into, session.who)
    missing = [each for each in facts.images if not each.included]
    lines = [f"{into} is the controller as it was at {facts.made_at.astimezone():%F %T}."]
    lines += [f"Missing: {each.image} v{each.number}, to be put at {into / 'images' / each.file}" for each in missing[:20]]
    if len(missing) > 20:
        lines.append(f"... and the files of {len(missing) - 20} versions more.")
    lines.append(f"Next: labvirt doctor --state {into}, then labvirt serve --state {into}. The old controller must not run any more.")
    shown = {"into": into, "made_at": facts.made_at, "labvirt": facts.labvirt, "missing": missing, "drafts": facts.drafts}
    session.show(shown, lines)
