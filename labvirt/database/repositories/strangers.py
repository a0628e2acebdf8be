# SPDX-License-Identifier: MIT
"""The inbox: bounded, because anybody on the wire can get into it."""

from __future__ import annotations

from sqlalchemy import delete, select

from labvirt.database import statements, tables
from labvirt.database.mapping.terminal import stranger_of, stranger_row
from labvirt.database.store import Store
from labvirt.domain.terminal import Stranger

KEPT = 1000

_columns = tables.strangers.c


class StrangerRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> tuple[Stranger, ...]:
        """By id."""
        return self._where()

    def get(self, id: str) -> Stranger | None:
        return next(iter(self._where(id=id)), None)

    def by_code(self, code: str) -> Stranger | None:
        return next(iter(self._where(code=code)), None)

    def put(self, stranger: Stranger) -> None:
        row = stranger_row(stranger)
        self._store.write(tables.strangers, statements.putting(tables.strangers, tuple(row)), row)
        surplus = self._store.count(tables.strangers) - KEPT
        if surplus > 0:
            oldest = select(_columns.id).where(_columns.id != stranger.id).order_by(_columns.last_seen).limit(surplus)
            self._store.change(delete(tables.strangers).where(_columns.id.in_(oldest)))

    def remove(self, id: str) -> None:
        """Absent is fine."""
        self._store.change(delete(tables.strangers).where(_columns.id == id))

    def _where(self, **equal: object) -> tuple[Stranger, ...]:
        return tuple(self._store.read(stranger_of, row) for row in self._store.find(tables.strangers, **equal))
