# SPDX-License-Identifier: MIT
"""Guests with the versions their disks were started from."""

from __future__ import annotations

from sqlalchemy import select

from labvirt.database import statements, tables
from labvirt.database.mapping.guest import disk_rows, guest_of, guest_row
from labvirt.database.mapping.row import Row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.repositories.parts import Parts
from labvirt.database.store import Store
from labvirt.domain.guest import Guest
from labvirt.errors import Conflict, NotFound

_columns = tables.guests.c


class GuestRepository(NamedRepository[Guest]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.guests, guest_row, lambda row: guest_of(row, ()))
        self._disks = Parts(store, tables.guest_disks)

    def of_lab(self, lab: str) -> tuple[Guest, ...]:
        return self._where(lab=lab)

    def update(self, item: Guest) -> None:
        row = guest_row(item)
        statement = statements.changing(self._table, tuple(row), ("generation",))
        if self._store.write(self._table, statement, statements.with_old(self._table, row, ("generation",))) == 0:
            newer = self._store.scalar(select(_columns.generation).where(_columns.name == item.name))
            if newer is None:
                raise NotFound("guest", item.name)
            raise Conflict(
                f"The wish for {item.name} was changed meanwhile (generation {newer} after {item.generation}).",
                hint="Read it again, then try again.",
            )
        self._put_parts(item, new=False)

    def _values(self, rows: tuple[Row, ...]) -> tuple[Guest, ...]:
        disks = self._disks.of(row["name"] for row in rows)
        return tuple(self._store.read(guest_of, row, disks.get(row["name"], ())) for row in rows)

    def _put_parts(self, item: Guest, *, new: bool) -> None:
        self._disks.put(item.name, disk_rows(item), new=new)
