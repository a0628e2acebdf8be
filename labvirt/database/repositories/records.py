# SPDX-License-Identifier: MIT
"""What is only noted: heartbeats and facts."""

from __future__ import annotations

from sqlalchemy import delete

from labvirt.contracts.database import Heartbeat
from labvirt.database import statements, tables
from labvirt.database.mapping.record import heartbeat_of, heartbeat_row
from labvirt.database.store import Store


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
