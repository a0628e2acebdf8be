# SPDX-License-Identifier: MIT
"""Boots of terminals: bounded, because a terminal may start as often as it likes."""

from __future__ import annotations

from sqlalchemy import delete, select

from labvirt.database import statements, tables
from labvirt.database.mapping.boot import boot_of, boot_row
from labvirt.database.store import Store
from labvirt.domain.boot import Boot

KEPT = 50
"""Of each terminal; at 700 bytes each, a thousand terminals take 35 MB at most."""

_columns = tables.boots.c


class BootRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, terminal: str, boot_id: str) -> Boot | None:
        found = self._store.find(tables.boots, terminal=terminal, boot_id=boot_id)
        return self._store.read(boot_of, found[0]) if found else None

    def put(self, boot: Boot) -> None:
        """Raises NotFound when there is no such terminal."""
        row = boot_row(boot)
        self._store.write(tables.boots, statements.putting(tables.boots, tuple(row)), row)
        kept = (
            select(_columns.boot_id)
            .where(_columns.terminal == boot.terminal)
            .order_by((_columns.boot_id == boot.boot_id).desc(), _columns.at.desc())
            .limit(KEPT)
        )
        self._store.change(delete(tables.boots).where(_columns.terminal == boot.terminal, _columns.boot_id.not_in(kept)))

    def of_terminal(self, terminal: str, last: int = KEPT) -> tuple[Boot, ...]:
        """The newest first."""
        query = select(tables.boots).where(_columns.terminal == terminal).order_by(_columns.at.desc(), _columns.boot_id).limit(last)
        return tuple(self._store.read(boot_of, row) for row in self._store.rows(query))
