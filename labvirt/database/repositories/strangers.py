# SPDX-License-Identifier: MIT
"""The inbox: bounded, because anybody on the wire can get into it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.sqlite import insert

from labvirt.database import mapping, tables
from labvirt.database.store import Store
from labvirt.domain.terminal import Stranger

KEPT = 1000

_columns = tables.strangers.c


class StrangerRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> tuple[Stranger, ...]:
        """By id."""
        rows = self._store.rows(select(tables.strangers).order_by(_columns.id))
        return tuple(self._store.read(mapping.stranger_of, row) for row in rows)

    def get(self, id: str) -> Stranger | None:
        return self._first(_columns.id == id)

    def by_code(self, code: str) -> Stranger | None:
        return self._first(_columns.code == code)

    def put(self, stranger: Stranger) -> None:
        row = mapping.stranger_row(stranger)
        statement = insert(tables.strangers).values(row).on_conflict_do_update(index_elements=["id"], set_=dict(row))
        self._store.write(tables.strangers, statement, row)
        surplus = self._store.count(tables.strangers) - KEPT
        if surplus > 0:
            oldest = select(_columns.id).where(_columns.id != stranger.id).order_by(_columns.last_seen).limit(surplus)
            self._store.change(delete(tables.strangers).where(_columns.id.in_(oldest)))

    def remove(self, id: str) -> None:
        """Absent is fine."""
        self._store.change(delete(tables.strangers).where(_columns.id == id))

    def _first(self, condition: ColumnElement[bool]) -> Stranger | None:
        row = self._store.row(select(tables.strangers).where(condition))
        return None if row is None else self._store.read(mapping.stranger_of, row)
