# SPDX-License-Identifier: MIT
"""Settings that somebody set, by scope and subject."""

from __future__ import annotations

from sqlalchemy import delete

from labvirt.database import statements, tables
from labvirt.database.mapping.row import Row
from labvirt.database.store import Store
from labvirt.domain.setting import Scope, SettingValue


class SettingRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, scope: Scope, subject: str = "") -> tuple[SettingValue, ...]:
        """By key."""
        found = self._store.find(tables.settings, scope=str(scope), subject=subject)
        return tuple(self._store.read(_set_of, row) for row in found)

    def put(self, each: SettingValue) -> None:
        row = {"scope": str(each.scope), "subject": each.subject, "key": each.key, "value": each.value}
        self._store.write(tables.settings, statements.putting(tables.settings, tuple(row)), row)

    def remove(self, scope: Scope, subject: str, key: str | None = None) -> int:
        """One key, or all of this subject; how many were set. Absent is fine."""
        table = tables.settings
        query = delete(table).where(table.c.scope == str(scope), table.c.subject == subject)
        return self._store.change(query if key is None else query.where(table.c.key == key))


def _set_of(row: Row) -> SettingValue:
    return SettingValue(scope=Scope(row["scope"]), subject=row["subject"], key=row["key"], value=row["value"])
