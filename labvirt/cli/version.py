# SPDX-License-Identifier: MIT
"""labvirt version ... (and without a verb: the version of LabVirt)"""

from __future__ import annotations

import platform
from pathlib import Path

import click

from labvirt import __version__, shapes
from labvirt.cli import errors, progress, words
from labvirt.cli.amounts import counted, moment, size
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.canary import Canary
from labvirt.domain.job import Job
from labvirt.errors import InvalidInput, NotFound
from labvirt.usecases import catalogue, images, versions
from labvirt.usecases.catalogue import VersionView


@click.group(cls=Noun, invoke_without_command=True)
@pass_session
@click.pass_context
def version(ctx: click.Context, session: Session) -> None:
    """Versions of images: publish, undo, try, delete. Without a verb: the version of LabVirt."""
    if ctx.invoked_subcommand is None:
        session.show({"labvirt": __version__, "python": platform.python_version()}, [f"LabVirt {__version__}"])


def canary_line(each: Canary | None) -> str:
    """Its last trial as a phrase."""
    if each is None:
        return "no canary yet"
    return f"canary {'green' if each.green else f'red ({each.why_red})'} with {each.profile}, {moment(each.at)}"


def version_lines(each: VersionView) -> list[str]:
    """A version for people."""
    one = each.version
    use = size(each.used_bytes) if each.used_bytes is not None else "nothing"
    depth = f"{counted(each.depth, 'file')} deep" if each.depth else "its chain is broken"
    return [
        f"  v{one.number}: {one.stage}, {size(one.virtual_bytes)} inside, {use} on the disk, made {moment(one.made_at)}"
        + (f" by {one.author}" if one.author else "")
        + (f" from v{one.parent}" if one.parent else "")
        + (f": {one.note}" if one.note else ""),
        f"      {'stands on v' + str(one.backing) if one.backing else 'complete by itself'}, {depth}; {canary_line(each.canary)}",
        f"      sha256 {one.sha256}",
        *([f"      used by {', '.join(user.why for user in each.users)}"] if each.users else []),
        *([f"      damaged: {each.damage}"] if each.damage else []),
        *(
            [f"      in the recycle bin since {moment(one.binned_at)}: labvirt version restore {one.image} {one.number}"]
            if one.binned_at
            else []
        ),
    ]


@version.command("list")
@click.argument("image", type=words.NAME)
@pass_session
def list_versions(session: Session, /, image: str) -> None:
    """All versions of an image."""
    with session.ports() as ports:
        found = catalogue.one(ports, image)
    session.table(
        [shapes.version(each) for each in found.details],
        ("VERSION", "STAGE", "DISK", "STANDS ON", "MADE", "BY", "CANARY", "NOTE"),
        (
            (
                f"v{each.version.number}",
                _stage(each),
                size(each.used_bytes) if each.used_bytes is not None else "nothing",
                f"v{each.version.backing}" if each.version.backing else None,
                f"{each.version.made_at:%F %H:%M}",
                each.version.author,
                ("green" if each.canary.green else "red") if each.canary else None,
                each.version.note,
            )
            for each in found.details
        ),
        empty=f"{image} has no version yet: labvirt image import {image} FILE --format qcow2",
    )


def _stage(each: VersionView) -> str:
    """With what keeps it from being started."""
    told = [str(each.version.stage), "damaged" if each.damage else "", "in the recycle bin" if each.version.binned_at else ""]
    return ", ".join(part for part in told if part)


@version.command("show")
@click.argument("image", type=words.NAME)
@click.argument("number", metavar="N", type=words.NUMBER)
@click.option("--picture", type=words.FILE, help="Write the canary's screenshot into this file (PNG).")
@pass_session
def show_version(session: Session, /, image: str, number: int, picture: Path | None) -> None:
    """One version: file, history, users, and what its canary saw."""
    with session.ports() as ports:
        found = catalogue.version(ports, image, number)
        if picture is not None:
            if found.canary is None or not found.canary.picture:
                raise NotFound("picture", found.version.label)
            _write(picture, ports.trials.picture(found.canary.picture))
    canary = found.canary
    session.show(
        shapes.version(found),
        [
            *(line.removeprefix("  ") for line in version_lines(found)),
            *(f"    {step_line(step.ok, step.name, step.said, step.seconds)}" for step in (canary.steps if canary else ())),
            *(f"    | {line}" for line in (canary.log.splitlines() if canary and not canary.green else [])),
        ],
    )


def step_line(ok: bool, name: str, said: str, seconds: float) -> str:
    """One thing a canary looked at."""
    return f"{'+' if ok else '-'} {name}" + (f": {said}" if said else "") + f" ({seconds:.1f} s)"


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InvalidInput("picture", f"{path} cannot be written: {error.strerror}") from error


@version.command("publish")
@click.argument("image", type=words.NAME)
@click.argument("number", metavar="N", type=words.NUMBER)
@click.option("--override", type=words.TEXT, default="", metavar="REASON", help="Without a green canary; the REASON stays in the audit.")
@pass_session
def publish_version(session: Session, /, image: str, number: int, override: str) -> None:
    """Guests that start from now on use it. Running ones stay on theirs.

    \b
    labvirt version publish tiny 3
    labvirt version publish tiny 3 --override "exam in ten minutes"
    """
    with session.ports() as ports:
        published = versions.publish(ports, image, number, by=session.who, override=override)
    session.show(published, [f"{image} v{published.published} is published.", f"Undo: labvirt version rollback {image}"])


@version.command("rollback")
@click.argument("image", type=words.NAME)
@pass_session
def rollback_version(session: Session, /, image: str) -> None:
    """Undo: publish what was published before. Once more is the way forth again."""
    with session.ports() as ports:
        published = versions.rollback(ports, image, by=session.who)
    session.show(published, [f"{image} v{published.published} is published again. Running seats change at their next start."])


def _tried(job: Job) -> list[str]:
    image, number = job.result.get("image", ""), job.result.get("number", "")
    if job.result.get("green") == "no":
        return [f"The canary of {job.subject} is red: {job.result.get('why', '')}.", f"See it: labvirt version show {image} {number}"]
    return [f"The canary of {job.subject} is green.", f"If it is not published yet: labvirt version publish {image} {number}"]


@version.command("test")
@click.argument("image", type=words.NAME)
@click.argument("number", metavar="N", type=words.NUMBER)
@click.option("--profile", type=words.NAME, help="What the canary is made of (default: a profile that uses the image).")
@click.option("--lab", type=words.NAME, help="Where it stands (default: a lab of the profile).")
@progress.detach_option
@pass_session
@click.pass_context
def try_version(ctx: click.Context, session: Session, image: str, number: int, profile: str | None, lab: str | None, detach: bool) -> None:
    """Run its canary. It starts with nobody in front, must get its lease, open its port and pass the profile's checks.

    Ends with 1 when the canary is red.
    """
    with session.ports() as ports:
        job = versions.test(ports, image, number, profile=profile, lab=lab, by=session.who)
        job = progress.carry(session, ports, job, detach=detach, said=_tried)
    if job.result.get("green") == "no":
        ctx.exit(errors.NO)


@version.command("flatten")
@click.argument("image", type=words.NAME)
@click.argument("number", metavar="N", type=words.NUMBER)
@progress.detach_option
@pass_session
def flatten_version(session: Session, /, image: str, number: int, detach: bool) -> None:
    """Make its file complete by itself. Its content stays the same, byte for byte."""
    with session.ports() as ports:
        job = versions.flatten(ports, image, number, by=session.who)
        progress.carry(session, ports, job, detach=detach, said=lambda done: [f"{image} v{number} is complete by itself."])


@version.command("delete")
@click.argument("image", type=words.NAME)
@click.argument("number", metavar="N", type=words.NUMBER)
@pass_session
def delete_version(session: Session, /, image: str, number: int) -> None:
    """Put a version that nobody uses into the recycle bin."""
    with session.ports() as ports:
        gone = versions.bin(ports, image, number, by=session.who)
    session.show(gone, [f"{gone.label} is in the recycle bin. Take it out again: labvirt version restore {image} {number}"])


@version.command("restore")
@click.argument("image", type=words.NAME)
@click.argument("number", metavar="N", type=words.NUMBER)
@pass_session
def restore_version(session: Session, /, image: str, number: int) -> None:
    """Take it out of the recycle bin."""
    with session.ports() as ports:
        back = versions.restore(ports, image, number, by=session.who)
    session.show(back, [f"{back.label} is back."])


@version.command("note")
@click.argument("image", type=words.NAME)
@click.argument("number", metavar="N", type=words.NUMBER)
@click.argument("text", type=words.TEXT)
@pass_session
def note_version(session: Session, /, image: str, number: int, text: str) -> None:
    """Write TEXT beside it, for people."""
    with session.ports() as ports:
        images.set_note(ports, image, text, number=number)
        changed = catalogue.version(ports, image, number)
    session.show(shapes.version(changed), [f"{changed.version.label}: {changed.version.note or 'no note'}"])
