# SPDX-License-Identifier: MIT
"""Profiles with their slots and the labs they are meant for."""

from __future__ import annotations

from labvirt.database import mapping, tables
from labvirt.database.mapping import Row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.repositories.parts import Parts
from labvirt.database.store import Store
from labvirt.domain.profile import Profile


class ProfileRepository(NamedRepository[Profile]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.profiles, mapping.profile_row, lambda row: mapping.profile_of(row, (), ()))
        self._slots = Parts(store, tables.profile_slots)
        self._affinities = Parts(store, tables.profile_labs)

    def _values(self, rows: tuple[Row, ...]) -> tuple[Profile, ...]:
        names = [row["name"] for row in rows]
        slots, labs = self._slots.of(names), self._affinities.of(names)
        return tuple(self._store.read(mapping.profile_of, row, slots.get(row["name"], ()), labs.get(row["name"], ())) for row in rows)

    def _put_parts(self, item: Profile, *, new: bool) -> None:
        self._slots.put(item.name, mapping.slot_rows(item), new=new)
        self._affinities.put(item.name, mapping.affinity_rows(item), new=new)
