# SPDX-License-Identifier: MIT
"""A repository of things with a name: the part that is the same for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Table

from labvirt.database import statements
from labvirt.database.mapping.row import Row
from labvirt.database.store import Store
from labvirt.database.tables import NOUNS
from labvirt.errors import NotFound

T = TypeVar("T")


class NamedRepository(Generic[T]):
    """Keeps contracts.database.Named. What consists of several rows overrides `_values` and `_put_parts`."""

    def __init__(self, store: Store, table: Table, to_row: Callable[[T], Row], of_row: Callable[[Row], T]) -> None:
        self._store = store
        self._table = table
        self._to_row = to_row
        self._of_row = of_row
        self._noun = NOUNS[table.name]

    def get(self, name: str) -> T | None:
        return self._first(name=name)

    def one(self, name: str) -> T:
        item = self.get(name)
        if item is None:
            raise NotFound(self._noun, name)
        return item

    def list(self) -> tuple[T, ...]:
        return self._where()

    def add(self, item: T) -> None:
        row = self._to_row(item)
        self._store.write(self._table, statements.adding(self._table, tuple(row)), row)
        self._put_parts(item, new=True)

    def update(self, item: T) -> None:
        row = self._to_row(item)
        if self._store.write(self._table, statements.changing(self._table, tuple(row)), statements.with_old(self._table, row)) == 0:
            raise NotFound(self._noun, row["name"])
        self._put_parts(item, new=False)

    def remove(self, name: str) -> None:
        found = self._store.find(self._table, name=name)
        if not found:
            raise NotFound(self._noun, name)
        self._store.remove(self._table, found[0], name)

    def _first(self, **equal: object) -> T | None:
        found = self._where(**equal)
        return found[0] if found else None

    def _where(self, **equal: object) -> tuple[T, ...]:
        return self._values(self._store.find(self._table, **equal))

    def _values(self, rows: tuple[Row, ...]) -> tuple[T, ...]:
        return tuple(self._store.read(self._of_row, row) for row in rows)

    def _put_parts(self, item: T, *, new: bool) -> None:
        """Write the rows of other tables that belong to this item."""
