# SPDX-License-Identifier: MIT
"""labvirt admin ..."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from labvirt import shapes
from labvirt.cli import progress, words
from labvirt.cli.amounts import duration, moment, size
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.contracts.images import SealMethod
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.job import Job
from labvirt.errors import InvalidInput
from labvirt.usecases import sessions
from labvirt.usecases.sessions import SessionView


@click.group(cls=Noun)
def admin() -> None:
    """Admin sessions: update, publish, undo. A draft (tiny.d5) takes the changes; NAME is a draft, or the image that has only one.

    \b
    labvirt admin start office
    labvirt admin publish tiny --note "new printer"
    labvirt version rollback tiny
    """


def _lines(each: SessionView) -> list[str]:
    draft = each.draft
    return [
        f"{draft.name}: {draft.state} since {moment(draft.since)}, of {draft.owner}",
        f"  on {draft.image} v{draft.parent}, profile {draft.profile}, lab {draft.lab}; made {moment(draft.made_at)}",
        *([f"  guest {each.guest.name} is {each.guest.state}"] if each.guest else []),
        *([f"  screen: remote-viewer vnc+unix://{each.vnc}"] if each.vnc else []),
        *([f"  screen for a terminal: SPICE at {each.spice[0]}, port {each.spice[1]}"] if each.spice else []),
        f"  {size(each.used_bytes)} were written" + (f"; idle for {_idle(each)}" if each.idle_minutes else ""),
        *(
            [f"  sealed as {draft.image} v{draft.candidate}: labvirt version show {draft.image} {draft.candidate}"]
            if draft.candidate
            else []
        ),
        *(
            [f"  {draft.image} v{each.published} was published meanwhile: labvirt admin publish {draft.name} --replace"]
            if _late(each)
            else []
        ),
        *([f"  {draft.note}"] if draft.note else []),
        *([f"  next: {_next(draft)}"] if _next(draft) else []),
    ]


def _idle(each: SessionView) -> str:
    return duration(each.idle_minutes * 60)


def _late(each: SessionView) -> bool:
    return each.overtaken and each.published is not None


def _next(each: Draft) -> str:
    """What one would do with it now."""
    match each.state:
        case DraftState.OPEN:
            return f"labvirt admin publish {each.name}, or keep, or discard"
        case DraftState.KEPT:
            return f"labvirt admin start --draft {each.name}, or publish, or discard"
        case DraftState.PUBLISHING:
            return "labvirt job list"
        case DraftState.DISCARDED:
            return f"labvirt admin restore {each.name}"
        case DraftState.PUBLISHED:
            return f"labvirt version rollback {each.image}" if each.candidate else ""


@admin.command("list")
@click.option("--all", "binned", is_flag=True, help="Also discarded drafts, which can be restored.")
@pass_session
def list_drafts(session: Session, /, binned: bool) -> None:
    """Open sessions and kept drafts."""
    with session.ports() as ports:
        found = sessions.everything(ports, binned=binned)
    session.table(
        [shapes.session(each) for each in found],
        ("DRAFT", "STATE", "OWNER", "ON", "PROFILE", "GUEST", "IDLE", "WRITTEN", "NOTE"),
        (
            (
                each.draft.name,
                f"{each.draft.state}, overtaken" if _late(each) else each.draft.state,
                each.draft.owner,
                f"v{each.draft.parent}",
                each.draft.profile,
                each.guest.name if each.guest else None,
                _idle(each) if each.idle_minutes else None,
                size(each.used_bytes),
                each.draft.note,
            )
            for each in found
        ),
        empty="No session is open and no draft is kept. Begin one: labvirt admin start PROFILE",
    )


@admin.command("show")
@click.argument("name", type=words.DRAFT)
@pass_session
def show_draft(session: Session, /, name: str) -> None:
    """Show one session or draft. Its guest, its screen, and what can be done with it."""
    with session.ports() as ports:
        found = sessions.one(ports, name)
    session.show(shapes.session(found), _lines(found))


def _opened(job: Job) -> list[str]:
    draft, guest = job.result.get("draft", job.subject), job.result.get("guest", "")
    return [
        f"The session {draft} is open" + (f": its guest is {guest}." if guest else "."),
        f"Its screen: labvirt admin show {draft}",
        f"Publish what you changed: labvirt admin publish {draft}",
        f"Or: labvirt admin keep {draft}; labvirt admin discard {draft}",
    ]


@admin.command("start")
@click.argument("profile", type=words.NAME, required=False)
@click.option("--lab", type=words.NAME, help="Where its guest stands (default: the only lab the profile fits).")
@click.option("--image", type=words.NAME, help="Which of the profile's disks is changed (default: the first).")
@click.option("--draft", type=words.DRAFT_NAME, help="Go on with a kept draft.")
@click.option("--cdrom", type=words.FILE, help="Disc image for its CD-ROM drive.")
@click.option("--boot", type=click.Choice(["cdrom", "disk"]), default="disk", help="What it boots from (default: disk).")
@progress.detach_option
@pass_session
def start_session(
    session: Session, /, profile: str | None, draft: str | None, cdrom: Path | None, boot: str, detach: bool, **where: Any
) -> None:
    """Open a session. PROFILE's guest starts on a fresh draft of its image, or with --draft on a kept one.

    \b
    labvirt admin start office
    labvirt admin start --draft tiny.d5
    labvirt admin start win11 --cdrom /srv/win11.iso --boot cdrom
    """
    with session.ports() as ports:
        if profile is None:
            if draft is None:
                raise InvalidInput("profile", "is needed", hint="Which profiles there are: labvirt profile list")
            profile = sessions.one(ports, draft).draft.profile
        cd = str(cdrom) if cdrom else ""
        job = sessions.start(ports, profile, by=session.who, draft=draft, cdrom=cd, boot_cdrom=boot == "cdrom", **where)
        progress.carry(session, ports, job, detach=detach, said=_opened)


def _published(job: Job) -> list[str]:
    image, number = job.result.get("image", ""), job.result.get("number", "")
    return [f"{image} v{number} is published. Seats take it at their next start.", f"Undo: labvirt version rollback {image}"]


@admin.command("publish")
@click.argument("name", type=words.DRAFT)
@click.option("--note", type=words.TEXT, default="", help="What changed, for people.")
@click.option(
    "--override", type=words.TEXT, default="", metavar="REASON", help="Although the canary is red; the REASON stays in the audit."
)
@click.option(
    "--replace", is_flag=True, help="Although somebody else published since the session began: his version is followed by this one."
)
@click.option("--method", type=words.choice(SealMethod), help="How it becomes a file (default: what costs least here).")
@progress.detach_option
@pass_session
def publish_draft(session: Session, /, name: str, note: str, override: str, replace: bool, method: SealMethod | None, detach: bool) -> None:
    """Shut down, seal, try, publish. The draft becomes the next version if its canary is green.

    \b
    labvirt admin publish tiny --note "LibreOffice 24.8"
    labvirt admin publish tiny.d5 --override "the canary's printer is off"
    """
    with session.ports() as ports:
        job = sessions.publish(ports, name, by=session.who, note=note, override=override, replace=replace, method=method)
        progress.carry(session, ports, job, detach=detach, said=_published)


def _told(session: Session, found: Draft, sentence: str) -> None:
    session.show(shapes.draft(found), [sentence, f"Next: {_next(found)}"])


@admin.command("keep")
@click.argument("name", type=words.DRAFT)
@pass_session
def keep_draft(session: Session, /, name: str) -> None:
    """End the session and keep its draft. Its guest is shut down, and clients may start again."""
    with session.ports() as ports:
        found = sessions.keep(ports, name, by=session.who)
    _told(session, found, f"{found.name} is kept.")


@admin.command("discard")
@click.argument("name", type=words.DRAFT)
@pass_session
def discard_draft(session: Session, /, name: str) -> None:
    """Give the changes up: the draft goes into the recycle bin."""
    with session.ports() as ports:
        found = sessions.discard(ports, name, by=session.who)
    _told(session, found, f"{found.name} is discarded.")


@admin.command("restore")
@click.argument("name", type=words.DRAFT_NAME)
@pass_session
def restore_draft(session: Session, /, name: str) -> None:
    """Take a discarded draft out of the recycle bin."""
    with session.ports() as ports:
        found = sessions.restore(ports, name, by=session.who)
    _told(session, found, f"{found.name} is back.")
