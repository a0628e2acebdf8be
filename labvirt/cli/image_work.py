# SPDX-License-Identifier: MIT
"""labvirt image import, blank, build, export, scrub, gc: the long ones."""

from __future__ import annotations

from pathlib import Path

import click

from labvirt.cli import progress, words
from labvirt.cli.amounts import counted, moment, size
from labvirt.cli.session import Command, Session, pass_session
from labvirt.domain.job import Job
from labvirt.usecases import garbage, images, scrubbing


def _format(command: click.Command) -> click.Command:
    return click.option("--format", type=click.Choice(["qcow2", "raw"]), required=True, help="Named, never guessed.")(command)


def _imported(job: Job) -> list[str]:
    label, number = job.result.get("version", job.subject), job.result.get("number", "")
    if job.result.get("published") == "yes":
        return [f"{label} is published."]
    return [
        f"{label} is a draft. Try it: labvirt version test {job.subject} {number}",
        f"Then: labvirt version publish {job.subject} {number}",
    ]


@click.command("import", cls=Command)
@click.argument("name", type=words.NAME)
@click.argument("file", type=words.FILE)
@_format
@click.option("--note", type=words.TEXT, default="", help="For people.")
@click.option("--publish/--draft", default=True, help="Is it what guests start from? (default: yes, if nothing of the image is published)")
@click.option("--override", type=words.TEXT, default="", metavar="REASON", help="Publish it untried; the REASON stays in the audit.")
@click.option("--sha256", type=words.SHA256, help="Checksum that FILE must have.")
@progress.detach_option
@pass_session
def import_image(
    session: Session, /, name: str, file: Path, format: str, note: str, publish: bool, override: str, sha256: str | None, detach: bool
) -> None:
    """Copy a disk FILE into the store. It is the image's next version; FILE itself is not changed and not used.

    \b
    labvirt image import win11 /srv/win11.qcow2 --format qcow2 --note "from the campus"
    """
    with session.ports() as ports:
        job = images.import_image(
            ports, name, file, format=format, by=session.who, note=note, publish=publish, override=override, sha256=sha256 or ""
        )
        progress.carry(session, ports, job, detach=detach, said=_imported)


@click.command("blank", cls=Command)
@click.argument("name", type=words.NAME)
@click.option("--size", "size_bytes", type=words.SIZE, required=True, help="Like 20G.")
@click.option("--note", type=words.TEXT, default="", help="For people.")
@click.option("--publish/--draft", default=False, help="Is it what guests start from? (default: no: it is empty)")
@progress.detach_option
@pass_session
def blank_image(session: Session, /, name: str, size_bytes: int, note: str, publish: bool, detach: bool) -> None:
    """Make an empty disk, to install a system on.

    \b
    labvirt image blank win11 --size 60G
    labvirt profile add win11 --memory 4096 --disk win11:sata --firmware uefi --tpm
    labvirt admin start win11 --cdrom /srv/win11.iso --boot cdrom
    """
    with session.ports() as ports:
        job = images.blank(ports, name, bytes=size_bytes, by=session.who, note=note, publish=publish)
        told = [f"{name} has an empty disk.", "Install on it: labvirt admin start PROFILE --cdrom FILE --boot cdrom"]
        progress.carry(session, ports, job, detach=detach, said=_imported if publish else lambda done: told)


@click.command("build", cls=Command)
@click.argument("recipe", type=click.Choice(["tiny"]))
@click.option("--name", type=words.NAME, help="Name of the image (default: that of the recipe).")
@click.option("--publish/--draft", default=True, help="Is it what guests start from? (default: yes, if nothing of the image is published)")
@progress.detach_option
@pass_session
def build_image(session: Session, /, recipe: str, name: str | None, publish: bool, detach: bool) -> None:
    """Build a test guest from Debian packages and import it."""
    with session.ports():
        pass  # a missing site is said before minutes of work
    session.say(f"Building or reusing the {recipe} guest ...")
    built = session.app.build_tiny()
    with session.ports() as ports:
        note = f"built by the recipe {recipe}"
        job = images.import_image(ports, name or recipe, built, format="qcow2", by=session.who, note=note, publish=publish)
        progress.carry(session, ports, job, detach=detach, said=_imported)


@click.command("export", cls=Command)
@click.argument("which", metavar="NAME[:N]", type=words.IMAGE_AT)
@click.argument("file", type=words.FILE)
@_format
@click.option("--compress", is_flag=True, help="Smaller and slower (qcow2 only).")
@progress.detach_option
@pass_session
def export_image(session: Session, /, which: tuple[str, int | None], file: Path, format: str, compress: bool, detach: bool) -> None:
    """Write a version into a new FILE. It is complete by itself; without N it is the published one.

    \b
    labvirt image export tiny:3 /srv/tiny-3.qcow2 --format qcow2 --compress
    """

    def said(job: Job) -> list[str]:
        checksum = job.result.get("sha256", "")
        return [f"{job.subject} is in {file}.", *([f"sha256 {checksum}"] if checksum else [])]

    name, number = which
    with session.ports() as ports:
        job = images.export(ports, name, number, file, format=format, compress=compress, by=session.who)
        progress.carry(session, ports, job, detach=detach, said=said)


@click.command("scrub", cls=Command)
@click.argument("name", type=words.NAME, required=False)
@progress.detach_option
@pass_session
def scrub_images(session: Session, /, name: str | None, detach: bool) -> None:
    """Read every byte and compare checksums. Of all versions, or of one image's."""
    with session.ports() as ports:
        job = scrubbing.scrub(ports, name, by=session.who)
        progress.carry(session, ports, job, detach=detach, said=lambda done: ["Every byte is as it should be."])


@click.command("gc", cls=Command)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@progress.detach_option
@pass_session
def collect_garbage(session: Session, /, dry_run: bool, detach: bool) -> None:
    """Empty the recycle bin of what was in it long enough. Files that nobody knows go too; the engine does it each hour."""
    with session.ports() as ports:
        if not dry_run:
            job = garbage.collect(ports, by=session.who)
            progress.carry(session, ports, job, detach=detach, said=_collected)
            return
        found, now = garbage.plan(ports), ports.clock.now()
    session.table(
        found,
        ("KIND", "NAME", "SIZE", "SINCE", "GOES", "WAITS FOR"),
        ((r.kind, r.name, size(r.used_bytes), moment(r.since), "now" if r.is_due(now) else moment(r.goes_at), r.waits_for) for r in found),
        empty="There is nothing that nobody needs.",
    )


def _collected(job: Job) -> list[str]:
    told = job.result
    waiting = int(told.get("waiting", 0))
    things = counted(int(told.get("removed", 0)), "thing")
    return [
        f"{things} that nobody needs {'is' if things.startswith('1 ') else 'are'} gone: {size(int(told.get('bytes', 0)))}.",
        *([f"{counted(waiting, 'thing')} must stay as long as somebody stands on it: labvirt image gc --dry-run"] if waiting else []),
    ]


COMMANDS = (import_image, blank_image, build_image, export_image, scrub_images, collect_garbage)
