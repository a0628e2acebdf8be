# SPDX-License-Identifier: MIT
"""The map of a lab: rooms, and where each seat stands in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.domain.room import COLUMNS, FIRST_ROOM, ROOM_NAME_LENGTH, ROWS, Room, RoomPlan, SeatPlace, plan
from labvirt.errors import AlreadyExists, InUse, InvalidInput, NotFound
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@needs(Right.LOOK, lab="lab")
def of_lab(ports: Ports, lab: str, seats: Iterable[int]) -> tuple[RoomPlan, ...]:
    """These seats in their rooms. Raises DatabaseError only: a lab that nobody knows has one room."""
    with ports.database.read() as work:
        return plan(lab, work.rooms.of_lab(lab), work.rooms.places(lab), seats)


@needs(Right.SEATS, lab="lab")
def move(ports: Ports, lab: str, seat: int, *, room: str, x: int, y: int) -> tuple[SeatPlace, ...]:
    """The seat stands there, durable; whoever stood there takes the place that it left. Gives the places that changed. Raises NotFound
    (lab, room, seat), InvalidInput (outside of the room).
    """
    with ports.database.write() as work:
        owner = work.labs.one(lab)
        rooms = work.rooms.of_lab(lab)
        seats = {terminal.seat for terminal in work.terminals.of_lab(lab)} | {g.seat for g in work.guests.of_lab(lab) if g.seat == seat}
        if seat not in seats:
            raise NotFound("seat", f"{lab} {seat}")
        if room != FIRST_ROOM and room not in {each.name for each in rooms}:
            raise NotFound("room", room)
        now = plan(owner.name, rooms, work.rooms.places(lab), seats)
        there = next((each for each in now if each.room.name == room), None)
        if there is None:
            raise NotFound("room", room or "the first one")
        if x > max(there.columns, there.room.columns) or y > max(there.rows, there.room.rows) + 1:
            raise InvalidInput("place", f"is outside of the room ({there.columns} x {max(there.rows, there.room.rows)})")
        old = next(place for each in now for place in each.places if place.seat == seat)
        new = SeatPlace(lab=lab, seat=seat, room=room, x=x, y=y)
        changed = [new]
        other = next((place for place in there.places if (place.x, place.y) == (x, y) and place.seat != seat), None)
        if other is not None:
            changed.append(replace(old, seat=other.seat))
        # What was only a proposal until now is what people saw: it is kept, so that nothing else moves.
        for place in (place for each in now for place in each.places):
            if place.seat not in {each.seat for each in changed}:
                work.rooms.place(place)
        for place in changed:
            work.rooms.place(place)
        ports.note(work, lab, f"seat {seat} stands in {room or 'the first room'} at {x}, {y}", verb="move", noun="room", lab=lab)
        work.commit()
    return tuple(changed)


@needs(Right.SEATS, lab="lab")
def add(ports: Ports, lab: str, name: str, *, columns: int = COLUMNS, rows: int = ROWS) -> Room:
    """A new room, the last one. The seats that the lab had before anybody made a room stay in the first. Raises NotFound, AlreadyExists,
    InvalidInput.
    """
    name = _name(name)
    with ports.database.write() as work:
        work.labs.one(lab)
        there = work.rooms.of_lab(lab)
        if name in {each.name for each in there}:
            raise AlreadyExists("room", name)
        room = Room(lab=lab, name=name, position=max((each.position for each in there), default=0) + 1, columns=columns, rows=rows)
        if not there:
            _adopt_places(work, lab, name)
        work.rooms.put(room)
        ports.note(work, lab, f"has the room {name}", verb="add", noun="room", lab=lab)
        work.commit()
    return room


@needs(Right.SEATS, lab="lab")
def change(ports: Ports, lab: str, name: str, *, columns: int, rows: int) -> Room:
    """The room has this size; seats outside of it stay where they are. Raises NotFound, InvalidInput."""
    with ports.database.write() as work:
        work.labs.one(lab)
        old = next((each for each in work.rooms.of_lab(lab) if each.name == name), None)
        if old is None and name != FIRST_ROOM:
            raise NotFound("room", name)
        room = replace(old or Room(lab=lab, name=name), columns=columns, rows=rows)
        work.rooms.put(room)
        ports.note(work, lab, f"the room {name or 'without a name'} is {columns} x {rows}", verb="change", noun="room", lab=lab)
        work.commit()
    return room


@needs(Right.SEATS, lab="lab")
def remove(ports: Ports, lab: str, name: str) -> None:
    """The room is gone. Raises NotFound, InUse (a seat stands in it)."""
    with ports.database.write() as work:
        work.labs.one(lab)
        if name not in {each.name for each in work.rooms.of_lab(lab)}:
            raise NotFound("room", name)
        living = {terminal.seat for terminal in work.terminals.of_lab(lab)}
        user = next((place for place in work.rooms.places(lab) if place.room == name and place.seat in living), None)
        if user is not None:
            raise InUse("room", name, f"the seat {user.seat}")
        work.rooms.remove(lab, name)
        ports.note(work, lab, f"has the room {name} no longer", verb="remove", noun="room", lab=lab)
        work.commit()


def _adopt_places(work: UnitOfWork, lab: str, name: str) -> None:
    """What was placed in the room without a name stands in this one."""
    for place in work.rooms.places(lab):
        if place.room == FIRST_ROOM:
            work.rooms.place(replace(place, room=name))


def _name(text: str) -> str:
    name = one_line(text, ROOM_NAME_LENGTH + 1).strip()
    if not name or len(name) > ROOM_NAME_LENGTH:
        raise InvalidInput("room", f"must be 1 to {ROOM_NAME_LENGTH} characters")
    return name
