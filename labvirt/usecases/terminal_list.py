# SPDX-License-Identifier: MIT
"""Terminals from a list, as a spreadsheet writes it: looked at line by line first, then taken whole or not at all.

Columns by name, in any order: mac (or id), lab, and as wished seat, name, class, profile, room, x, y, note.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.addresses import MacAddress
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.domain.room import ROOM_NAME_LENGTH, Room, SeatPlace
from labvirt.domain.terminal import Terminal
from labvirt.errors import Conflict, InvalidInput, LabVirtError
from labvirt.usecases import terminals, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import must, must_see, needs

COLUMNS = ("mac", "id", "lab", "seat", "name", "class", "profile", "room", "x", "y", "note")
MOST_LINES = 2000
EXAMPLE = "mac,lab,seat,name,room,x,y\n52:54:00:aa:00:01,lab-a,1,pc-01,Room 12,1,1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLine:
    """One line of the list: the terminal it would make and its place, or what is wrong with it."""

    number: int
    """As an editor counts; the heading is line 1."""
    text: str
    terminal: Terminal | None = None
    place: SeatPlace | None = None
    wrong: str = ""


@needs(Right.SEATS, anywhere=True)
def look(ports: Ports, text: str, *, lab: str = "") -> tuple[ListLine, ...]:
    """What each line would come to; `lab` counts where the list names none. A line about a lab
    where the caller may not keep seats is wrong. Nothing is changed. Raises InvalidInput (the heading).
    """
    with ports.database.write() as work:  # left without commit: whatever was tried is forgotten
        return _try(ports, work, text, lab)


@needs(Right.SEATS, anywhere=True)
def take(ports: Ports, text: str, *, lab: str = "") -> tuple[Terminal, ...]:
    """All terminals of the list are there, durable, with their places. Raises InvalidInput (the heading), Conflict (a line is wrong: then
    none is there).
    """
    with ports.database.write() as work:
        lines = _try(ports, work, text, lab)
        wrong = [line for line in lines if line.wrong]
        if wrong:
            raise Conflict(
                f"{len(wrong)} lines are wrong, the first is line {wrong[0].number}: {wrong[0].wrong}", hint="Nothing was taken."
            )
        added = tuple(line.terminal for line in lines if line.terminal is not None)
        for name, count in Counter(each.lab for each in added).items():
            ports.note(work, name, f"{count} terminals added from a list", verb="add", noun="terminal", lab=name)
        work.commit()
    ports.poke()
    return added


def _try(ports: Ports, work: UnitOfWork, text: str, lab: str) -> tuple[ListLine, ...]:
    rows = list(csv.reader(io.StringIO(text), delimiter=";" if ";" in text.split("\n", 1)[0] else ","))
    if not rows:
        raise InvalidInput("list", "is empty", hint=f"Begin with: {EXAMPLE.splitlines()[0]}")
    heading = [cell.strip().lower() for cell in rows[0]]
    strange = [cell for cell in heading if cell not in COLUMNS]
    if strange or len(set(heading)) != len(heading) or not {"mac", "id"} & set(heading):
        why = f"knows no column {strange[0]!r}" if strange else "needs a column mac or id, and none twice"
        raise InvalidInput("list", why, hint=f"Columns: {', '.join(COLUMNS)}")
    if len(rows) > MOST_LINES:
        raise InvalidInput("list", f"must have at most {MOST_LINES} lines")
    lines = []
    for number, row in enumerate(rows[1:], 2):
        shown = one_line(", ".join(row), 120)
        if not any(cell.strip() for cell in row):
            continue
        try:
            if len(row) > len(heading):
                raise InvalidInput("line", f"has {len(row)} cells, the heading has {len(heading)}")
            terminal, place = _one(ports, work, dict(zip(heading, (cell.strip() for cell in row), strict=False)), lab)
        except LabVirtError as error:
            lines.append(ListLine(number=number, text=shown, wrong=f"{error.sentence} {error.hint}".strip()))
        else:
            lines.append(ListLine(number=number, text=shown, terminal=terminal, place=place))
    return tuple(lines)


def _one(ports: Ports, work: UnitOfWork, cells: Mapping[str, str], lab: str) -> tuple[Terminal, SeatPlace | None]:
    """The terminal is in the unit of work, so that the next line collides with it."""
    name = cells.get("lab") or lab
    must_see(ports, work, "lab", name)
    place = work.labs.one(name)
    must(ports, Right.SEATS, whose.lab(work, place.name), "add terminals from a list")
    seat = _whole(cells, "seat") if cells.get("seat") else terminals.lowest_free_seat(work, place)
    terminal = Terminal(
        name=cells.get("name") or terminals.default_name(place, seat),
        lab=place.name,
        seat=seat,
        mac=MacAddress.parse(cells["mac"]) if cells.get("mac") else None,
        inventory_id=cells.get("id") or None,
        terminal_class=cells.get("class") or "spice",
        profile=cells.get("profile") or None,
        note=one_line(cells.get("note", "")),
    )
    if terminal.mac is None and terminal.inventory_id is None:
        raise InvalidInput("mac", "is missing, and there is no id either")
    terminals.insert(ports, work, terminal)
    if not cells.get("x") and not cells.get("y"):
        return terminal, None
    room = one_line(cells.get("room", ""), ROOM_NAME_LENGTH)
    stands = SeatPlace(lab=place.name, seat=seat, room=room, x=_whole(cells, "x"), y=_whole(cells, "y"))
    if room and room not in {each.name for each in work.rooms.of_lab(place.name)}:
        work.rooms.put(Room(lab=place.name, name=room, position=len(work.rooms.of_lab(place.name)) + 1))
    work.rooms.place(stands)
    return terminal, stands


def _whole(cells: Mapping[str, str], column: str) -> int:
    text = cells.get(column, "")
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise InvalidInput(column, f"must be a whole number, not {text!r}" if text else "is missing")
    return int(text)
