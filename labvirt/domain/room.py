# SPDX-License-Identifier: MIT
"""Rooms of a lab, and where its seats stand in them: a grid, as one would draw it on paper.

A seat that nobody has placed stands where the reading order puts it, so that a new lab has a map at once. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labvirt.domain.names import one_line
from labvirt.errors import InvalidInput

WIDEST, DEEPEST = 40, 60
"""A lecture hall; the page has a class of its sheet for each column and row."""
COLUMNS, ROWS = 8, 6
"""Of a room that nobody has drawn."""
ROOM_NAME_LENGTH = 40
FIRST_ROOM = ""
"""Name of the room that a lab has before anybody made one: it needs no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A rectangle of `columns` x `rows` places. The teacher's desk is at the top. Rooms come by `position`."""

    lab: str
    name: str
    position: int = 0
    columns: int = COLUMNS
    rows: int = ROWS

    def __post_init__(self) -> None:
        if self.name != one_line(self.name, ROOM_NAME_LENGTH).strip():
            raise InvalidInput("room", f"must be at most {ROOM_NAME_LENGTH} characters in one line")
        if not 1 <= self.columns <= WIDEST:
            raise InvalidInput("columns", f"must be 1 to {WIDEST}")
        if not 1 <= self.rows <= DEEPEST:
            raise InvalidInput("rows", f"must be 1 to {DEEPEST}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlace:
    """Where one seat stands; `x` and `y` begin with 1 at the top left."""

    lab: str
    seat: int
    room: str
    x: int
    y: int

    def __post_init__(self) -> None:
        if not 1 <= self.x <= WIDEST:
            raise InvalidInput("x", f"must be 1 to {WIDEST}")
        if not 1 <= self.y <= DEEPEST:
            raise InvalidInput("y", f"must be 1 to {DEEPEST}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPlan:
    """One room with its seats by number; `rows` may be more than the room was drawn with: nobody is left out."""

    room: Room
    places: tuple[SeatPlace, ...]

    @property
    def columns(self) -> int:
        return max([self.room.columns, *(place.x for place in self.places)])

    @property
    def rows(self) -> int:
        return max([1, *(place.y for place in self.places)])


def plan(lab: str, rooms: Iterable[Room], placed: Iterable[SeatPlace], seats: Iterable[int]) -> tuple[RoomPlan, ...]:
    """Every one of `seats` in exactly one room. Those that nobody placed fill the free places of the first room in reading order, below
    its rows too; of two on one place (or in a room that is gone) the higher number is moved to a free one.
    """
    ordered = sorted(rooms, key=lambda room: (room.position, room.name)) or [Room(lab=lab, name=FIRST_ROOM)]
    wanted: Mapping[int, SeatPlace] = {place.seat: place for place in placed}
    taken: dict[str, dict[tuple[int, int], SeatPlace]] = {room.name: {} for room in ordered}
    homeless = []
    for seat in sorted(seats):
        place = wanted.get(seat)
        if place is None or place.room not in taken or (place.x, place.y) in taken[place.room]:
            homeless.append(seat)
        else:
            taken[place.room][place.x, place.y] = place
    first = ordered[0]
    columns = max(first.columns, min(WIDEST, -(-(len(homeless) + len(taken[first.name])) // DEEPEST)))
    free = [(x, y) for y in range(1, DEEPEST + 1) for x in range(1, columns + 1) if (x, y) not in taken[first.name]]
    for seat, (x, y) in zip(homeless, free, strict=False):  # a lab of thousands: the map shows as many as a room can hold
        taken[first.name][x, y] = SeatPlace(lab=lab, seat=seat, room=first.name, x=x, y=y)
    return tuple(RoomPlan(room=room, places=tuple(sorted(taken[room.name].values(), key=lambda p: p.seat))) for room in ordered)
