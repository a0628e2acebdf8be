# SPDX-License-Identifier: MIT
"""Profiles with their slots, the labs they are meant for, and their places there."""

from __future__ import annotations

from labvirt.database import tables
from labvirt.database.mapping.profile import affinity_rows, position_rows, profile_of, profile_row, slot_rows
from labvirt.database.mapping.row import Row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.repositories.parts import Parts
from labvirt.database.store import Store
from labvirt.domain.profile import Profile


class ProfileRepository(NamedRepository[Profile]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.profiles, profile_row, lambda row: profile_of(row, (), (), ()))
        self._slots = Parts(store, tables.profile_slots)
        self._affinities = Parts(store, tables.profile_labs)
        self._positions = Parts(store, tables.profile_positions)

    def _values(self, rows: tuple[Row, ...]) -> tuple[Profile, ...]:
        names = [row["name"] for row in rows]
        parts = [each.of(names) for each in (self._slots, self._affinities, self._positions)]
        return tuple(self._store.read(profile_of, row, *(part.get(row["name"], ()) for part in parts)) for row in rows)

    def _put_parts(self, item: Profile, *, new: bool) -> None:
        self._slots.put(item.name, slot_rows(item), new=new)
        self._affinities.put(item.name, affinity_rows(item), new=new)
        self._positions.put(item.name, position_rows(item), new=new)
