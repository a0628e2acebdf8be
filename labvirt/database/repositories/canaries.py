# SPDX-License-Identifier: MIT
"""What the last canary of each version found. It goes with its version."""

from __future__ import annotations

from sqlalchemy import delete

from labvirt.database import statements, tables
from labvirt.database.mapping.image import canary_of, canary_row
from labvirt.database.store import Store
from labvirt.domain.canary import Canary

_columns = tables.canaries.c


class CanaryRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, image: str, version: int) -> Canary | None:
        found = self._store.find(tables.canaries, image=image, version=version)
        return self._store.read(canary_of, found[0]) if found else None

    def put(self, canary: Canary) -> None:
        """Raises NotFound when there is no such version."""
        row = canary_row(canary)
        self._store.write(tables.canaries, statements.putting(tables.canaries, tuple(row)), row)

    def list(self) -> tuple[Canary, ...]:
        """By image and version."""
        return tuple(self._store.read(canary_of, row) for row in self._store.find(tables.canaries))

    def remove(self, image: str, version: int) -> None:
        """Absent is fine."""
        self._store.change(delete(tables.canaries).where(_columns.image == image, _columns.version == version))
