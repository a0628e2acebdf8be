# SPDX-License-Identifier: MIT
"""Rooms of labs, and where seats were placed in them."""

from __future__ import annotations

from sqlalchemy import delete

from labvirt.database import statements, tables
from labvirt.database.mapping.row import Row
from labvirt.database.store import Store
from labvirt.domain.room import Room, SeatPlace


class RoomRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of_lab(self, lab: str) -> tuple[Room, ...]:
        found = (self._store.read(_room_of, row) for row in self._store.find(tables.rooms, lab=lab))
        return tuple(sorted(found, key=lambda room: (room.position, room.name)))

    def put(self, room: Room) -> None:
        row = {"lab": room.lab, "name": room.name, "position": room.position, "columns": room.columns, "rows": room.rows}
        self._store.write(tables.rooms, statements.putting(tables.rooms, tuple(row)), row)

    def remove(self, lab: str, name: str) -> int:
        places, rooms = tables.seat_places, tables.rooms
        self._store.change(delete(places).where(places.c.lab == lab, places.c.room == name))
        return self._store.change(delete(rooms).where(rooms.c.lab == lab, rooms.c.name == name))

    def places(self, lab: str) -> tuple[SeatPlace, ...]:
        return tuple(self._store.read(_place_of, row) for row in self._store.find(tables.seat_places, lab=lab))

    def place(self, place: SeatPlace) -> None:
        row = {"lab": place.lab, "seat": place.seat, "room": place.room, "x": place.x, "y": place.y}
        self._store.write(tables.seat_places, statements.putting(tables.seat_places, tuple(row)), row)


def _room_of(row: Row) -> Room:
    return Room(lab=row["lab"], name=row["name"], position=row["position"], columns=row["columns"], rows=row["rows"])


def _place_of(row: Row) -> SeatPlace:
    return SeatPlace(lab=row["lab"], seat=row["seat"], room=row["room"], x=row["x"], y=row["y"])
