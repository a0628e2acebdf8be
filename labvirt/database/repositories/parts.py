# SPDX-License-Identifier: MIT
"""Rows that belong to a thing of another table: read for many at once, written anew as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Table, delete, insert, select

from labvirt.database.mapping import Row
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
        query = select(self._table).order_by(self._owner, self._order)
        if len(wanted) == 1:
            query = query.where(self._owner == wanted[0])
        for row in self._store.rows(query):
            found[row[self._owner.name]].append(row)
        return found

    def put(self, owner: str, rows: list[Row], *, new: bool) -> None:
        """These are the owner's rows. Raises NotFound for what they name and does not exist."""
        if not new:
            if self.of([owner])[owner] == rows:
                return
            self._store.change(delete(self._table).where(self._owner == owner))
        for row in rows:
            self._store.write(self._table, insert(self._table).values(row), row)
