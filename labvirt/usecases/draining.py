# SPDX-License-Identifier: MIT
"""An admin session and the clients of its image: who runs from it, who may not start now, and how they are asked to leave.

The policy is the profile's (domain.profile.SessionPolicy). A client that runs is only ever touched by a drain, after its time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, StopHow, Wish
from labvirt.domain.job import JobKind
from labvirt.domain.names import one_line
from labvirt.domain.profile import SessionPolicy
from labvirt.errors import LabVirtError
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task

_NOTICE = re.compile(r"([a-z][a-z0-9-]{0,31}) is being updated: ")
_NOT_THERE = frozenset({GuestState.WANTED, GuestState.STOPPED, GuestState.FAILED})
LOOK_SECONDS = 1.0
SHOWN_SECONDS = 10
"""The countdown in words goes down in such steps; the job's progress shows each second."""
MANY_JOBS = 10_000
"""More than ever wait at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who keeps clients from starting from an image, and since when."""

    by: str
    since: datetime


def clients(work: UnitOfWork, image: str) -> tuple[Guest, ...]:
    """The seats' guests that run (or start, or stop) from a version of this image now."""
    return tuple(
        guest
        for guest in work.guests.list()
        if guest.purpose is Purpose.SEAT and guest.state not in _NOT_THERE and any(disk.image == image for disk in guest.disks)
    )


def counted(guests: tuple[Guest, ...]) -> str:
    """'3 clients of lab-a and 1 of lab-b'."""
    labs = Counter(guest.lab for guest in guests)
    words = [f"{count} of {lab}" for lab, count in sorted(labs.items())]
    first, *rest = words
    first = first.replace(" of", " client of" if first.startswith("1 ") else " clients of", 1)
    return " and ".join([first, *rest])


def held(work: UnitOfWork) -> Mapping[str, str]:
    """Image -> the sentence (without a full stop) why no client may start from its published version now: a session of a profile that
    refuses or drains is open (one whose machine could not be kept running holds nobody up), or is being opened and drains."""
    found: dict[str, str] = {}
    for draft in work.drafts.list():
        if draft.state is DraftState.OPEN and not _fell(work, draft) and _policy(work, draft.profile) is not SessionPolicy.ALONGSIDE:
            found[draft.image] = sentence(draft.image, draft.owner, draft.since)
    for job in work.jobs.list(unended=True, last=MANY_JOBS):
        image = job.arguments.get("image", "")
        if job.kind is not JobKind.SESSION or image in found or job.started_at is None:
            continue
        if _policy(work, job.arguments.get("profile", "")) is SessionPolicy.DRAIN:
            found[image] = sentence(image, job.asked_by, job.started_at)
    return found


def _fell(work: UnitOfWork, draft: Draft) -> bool:
    guest = work.guests.get(draft.guest) if draft.guest is not None else None
    return guest is not None and guest.source == draft.name and guest.state is GuestState.FAILED


def sentence(image: str, by: str, since: datetime) -> str:
    """'tiny is being updated by anna since 10:05'."""
    return f"{image} is being updated by {by} since {clock_time(since)}"


def clock_time(at: datetime) -> str:
    """As the calendar and the clock on the wall show it here."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M")


def drain(ports: Ports, task: Task, image: str, seconds: int) -> None:
    """No client runs from the image: each was told (notice), had `seconds`, and was stopped by the engine. When the job is cancelled
    meanwhile, they are told that nothing will happen. Raises Cancelled, Interrupted, DatabaseError."""
    shown: tuple[int, int] | None = None
    try:
        at = _tell(ports, image, ports.clock.now() + timedelta(seconds=seconds))
        while True:
            with ports.database.read() as work:
                living = clients(work, image)
            if not living:
                return
            if any(guest.alive and guest.due is not Due.STOP for guest in living):  # it began in the same moment
                at = _tell(ports, image, at)
            left = max(0, round((at - ports.clock.now()).total_seconds()))
            if not left and any(_lingers(guest) for guest in living):
                _insist(ports, image)
            if shown != (len(living), -(-left // SHOWN_SECONDS)):
                shown = len(living), -(-left // SHOWN_SECONDS)
                many = f"{len(living)} computer{'s' if len(living) != 1 else ''}"
                names = ", ".join(guest.name for guest in living[:4]) + (" ..." if len(living) > 4 else "")
                words = f"waiting for {many}: {left} s" if left else f"waiting for {many} to go off: {names}"
                task.step(words, total=seconds, unit="seconds")
            task.progress(max(0, seconds - left), seconds)
            task.sleep(LOOK_SECONDS)
    except LabVirtError as error:
        if error.code == "cancelled":
            call_off(ports, image)
        raise


def call_off(ports: Ports, image: str) -> int:
    """Clients that were told to leave for the sake of this image are told no longer. Gives how many."""
    with ports.database.write() as work:
        told = [guest for guest in work.guests.list() if notice_image(guest) == image]
        for guest in told:
            work.guests.update(guest.with_due(None, None))
            ports.note(work, guest.name, f"stays on: the update of {image} was called off", verb="call-off", noun="guest", lab=guest.lab)
        work.commit()
    if told:
        ports.poke()
    return len(told)


def notice_image(guest: Guest) -> str | None:
    """The image for whose session this guest was told to leave; None when it was not."""
    match = _NOTICE.match(guest.notice) if guest.due is Due.STOP else None
    return match[1] if match else None


def _tell(ports: Ports, image: str, wanted: datetime) -> datetime:
    """Every client knows its time; gives when the last of them is due. A time that was given before (this job began again) stands."""
    with ports.database.write() as work:
        at = wanted
        known = [guest.due_at for guest in clients(work, image) if notice_image(guest) == image and guest.due_at is not None]
        if known:
            at = max(known)
        notice = one_line(f"{image} is being updated: this computer is switched off at {at.astimezone():%H:%M}. Please save your work.")
        for guest in clients(work, image):
            if guest.due is not Due.STOP and guest.alive:
                work.guests.update(guest.with_due(Due.STOP, at, notice))
                ports.note(
                    work,
                    guest.name,
                    f"told to leave until {clock_time(at)}: {image} is being updated",
                    verb="drain",
                    noun="guest",
                    lab=guest.lab,
                )
        work.commit()
    ports.poke()
    return at


def _lingers(guest: Guest) -> bool:
    """Somebody pressed its power button, and it did not listen."""
    return guest.wish is Wish.STOPPED and guest.stop_how is StopHow.SHUTDOWN


def _insist(ports: Ports, image: str) -> None:
    with ports.database.write() as work:
        for guest in clients(work, image):
            if _lingers(guest):
                work.guests.update(guest.unwanted(StopHow.STOP))
        work.commit()
    ports.poke()


def _policy(work: UnitOfWork, profile: str) -> SessionPolicy:
    found = work.profiles.get(profile)
    return found.session_policy if found else SessionPolicy.REFUSE
