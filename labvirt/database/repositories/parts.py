# SPDX-License-Identifier: MIT
"""Rows that belong to a thing of another table: read for many at once, written anew as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Table, delete

from labvirt.database import statements
from labvirt.database.mapping.row import Row
from labvirt.database.store import Store


class Parts:
    """The rows of `table`, whose first key column names the thing they belong to."""

    def __init__(self, store: Store, table: Table) -> None:
        self._store = store
        self._table = table
        self._owner, self._order = tuple(table.primary_key.columns)

    def of(self, names: Iterable[str]) -> dict[str, list[Row]]:
        """Owner -> its rows in order."""
        wanted = list(names)
        found: dict[str, list[Row]] = defaultdict(list)
        if not wanted:
            return found
        one = {self._owner.name: wanted[0]} if len(wanted) == 1 else {}
        for row in self._store.find(self._table, **one):
            found[row[self._owner.name]].append(row)
        return found

    def put(self, owner: str, rows: list[Row], *, new: bool) -> None:
        """These are the owner's rows. Raises NotFound for what they name and does not exist."""
        if not new:
            if self.of([owner])[owner] == rows:
                return
            self._store.change(delete(self._table).where(self._owner == owner))
        for row in rows:
            self._store.write(self._table, statements.adding(self._table, tuple(row)), row)
