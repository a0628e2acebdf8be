# SPDX-License-Identifier: MIT
"""The teacher tells a seat or a whole lab something: it is shown over the desktop. And: the lesson ends at a time that everybody hears."""

from __future__ import annotations

from datetime import datetime, timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.guest import Due, Guest, Purpose
from labvirt.domain.message import LONGEST_MINUTES, LONGEST_TEXT, Message, end_of_lesson, is_end_of_lesson
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import Conflict, InvalidInput
from labvirt.usecases import power
from labvirt.usecases.draining import clock_time
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

MINUTES = 5
LONGEST_LESSON = timedelta(days=1)


@needs(Right.OPERATE, guest="name")
def tell_guest(ports: Ports, name: str, text: str, *, minutes: int = MINUTES, by: str) -> Message:
    """Whoever sits at this guest (or comes to it within the minutes) reads the sentence; one from before is replaced. Raises NotFound
    (no such guest or terminal, or it never had a guest), InvalidInput, DatabaseError."""
    with ports.database.write() as work:
        lab, seat, _ = power.seat_of(work, name)
        message = _told(ports, work, work.guests.one(lab.guest_name(seat)), text, minutes, by)
        work.commit()
    return message


@needs(Right.OPERATE, lab="lab")
def tell_lab(ports: Ports, lab: str, text: str, *, minutes: int = MINUTES, by: str) -> tuple[Message, ...]:
    """The same for every seat of the lab that has a guest. Raises NotFound, InvalidInput, Conflict (nobody is there), DatabaseError."""
    with ports.database.write() as work:
        told = tuple(_told(ports, work, guest, text, minutes, by) for guest in _seats(work, lab))
        if not told:
            raise Conflict(f"No guest of {lab} runs, so there is nobody to tell.", hint=f"See: labvirt guest list --lab {lab}")
        work.commit()
    return told


@needs(Right.OPERATE, lab="lab")
def end_lesson(ports: Ports, lab: str, at: datetime, *, fresh: bool, by: str) -> tuple[Guest, ...]:
    """Everybody in the lab hears now, and again 5 minutes and 1 minute before, that the lesson ends at `at`; then the engine starts their
    guests afresh or stops them. A guest that was told something else already (an update of its image) keeps that. Doing it again moves
    the end. Raises NotFound, InvalidInput (in the past, or more than a day away), Conflict (nobody is there), DatabaseError."""
    now = ports.clock.now()
    if not now < at <= now + LONGEST_LESSON:
        raise InvalidInput("at", "must be within a day from now", hint="Write it like --at 10:05 or --in 30")
    with ports.database.write() as work:
        there = [guest for guest in _seats(work, lab) if guest.due is None or is_end_of_lesson(guest)]
        ended = tuple(guest.with_due(Due.FRESH if fresh else Due.STOP, at, end_of_lesson(at, fresh=fresh)) for guest in there)
        if not ended:
            raise Conflict(f"No guest of {lab} runs whose lesson could end.", hint=f"See: labvirt guest list --lab {lab}")
        for guest in ended:
            work.guests.update(guest)
            ports.note(
                work, guest.name, f"told that the lesson ends at {clock_time(at)}, by {by}", verb="end-lesson", noun="guest", lab=guest.lab
            )
        work.commit()
    ports.poke()
    return ended


@needs(Right.OPERATE, lab="lab")
def call_off_end(ports: Ports, lab: str, *, by: str) -> tuple[Guest, ...]:
    """The lesson goes on: nobody is told that it ends any more. Gives those who had been. Raises NotFound, DatabaseError."""
    with ports.database.write() as work:
        called = tuple(guest.with_due(None, None) for guest in _seats(work, lab) if is_end_of_lesson(guest))
        for guest in called:
            work.guests.update(guest)
            ports.note(
                work, guest.name, f"stays on: the end of the lesson was called off by {by}", verb="call-off", noun="guest", lab=guest.lab
            )
        work.commit()
    ports.poke()
    return called


def _seats(work: UnitOfWork, lab: str) -> tuple[Guest, ...]:
    work.labs.one(lab)
    return tuple(guest for guest in work.guests.of_lab(lab) if guest.alive and guest.purpose is Purpose.SEAT)


def _told(ports: Ports, work: UnitOfWork, guest: Guest, text: str, minutes: int, by: str) -> Message:
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise InvalidInput("minutes", f"must be 1 to {LONGEST_MINUTES}")
    message = Message(guest=guest.name, text=text.strip(), until=ports.clock.now() + timedelta(minutes=minutes))
    work.messages.put(message)
    ports.note(work, guest.name, one_line(f"told by {by}: {message.text}", LONGEST_TEXT + 100), verb="tell", noun="guest", lab=guest.lab)
    return message
