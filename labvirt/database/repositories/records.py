# SPDX-License-Identifier: MIT
"""What is only noted: heartbeats, history, facts."""

from __future__ import annotations

from sqlalchemy import delete, select

from labvirt.contracts.database import Heartbeat, HistoryEntry
from labvirt.database import statements, tables
from labvirt.database.mapping.record import entry_of, entry_row, heartbeat_of, heartbeat_row
from labvirt.database.store import Store

HISTORY_KEPT = 20_000
"""Lines; at 100 bytes each 2 MB. Every 256th line sweeps."""


class HeartbeatRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, beat: Heartbeat) -> None:
        """Raises NotFound when there is no such terminal."""
        row = heartbeat_row(beat)
        self._store.write(tables.heartbeats, statements.putting(tables.heartbeats, tuple(row)), row)

    def list(self) -> tuple[Heartbeat, ...]:
        """By terminal."""
        return tuple(self._store.read(heartbeat_of, row) for row in self._store.find(tables.heartbeats))


class HistoryRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, entry: HistoryEntry) -> None:
        row = entry_row(entry)
        number = self._store.add(tables.history, row)
        if number % 256 == 0:
            self._store.change(delete(tables.history).where(tables.history.c.number <= number - HISTORY_KEPT))

    def last(self, count: int, subject: str | None = None) -> tuple[HistoryEntry, ...]:
        """Newest first."""
        query = select(tables.history).order_by(tables.history.c.number.desc()).limit(count)
        if subject is not None:
            query = query.where(tables.history.c.subject == subject)
        return tuple(self._store.read(entry_of, row) for row in self._store.rows(query))


class FactRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> str | None:
        found = self._store.find(tables.facts, name=name)
        return str(found[0]["value"]) if found else None

    def put(self, name: str, value: str) -> None:
        row = {"name": name, "value": value}
        self._store.write(tables.facts, statements.putting(tables.facts, tuple(row)), row)

    def remove(self, name: str) -> None:
        """Absent is fine."""
        self._store.change(delete(tables.facts).where(tables.facts.c.name == name))
