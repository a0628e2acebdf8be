# SPDX-License-Identifier: MIT
"""Labs, and the allocation of their blocks of MAC addresses."""

from __future__ import annotations

from sqlalchemy import delete, select

from labvirt.database import statements, tables
from labvirt.database.mapping.lab import lab_of, lab_row
from labvirt.database.mapping.row import Row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.store import Store
from labvirt.domain.addresses import BLOCKS
from labvirt.domain.lab import Lab
from labvirt.errors import Exhausted


class LabRepository(NamedRepository[Lab]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.labs, lab_row, lab_of)

    def _values(self, rows: tuple[Row, ...]) -> tuple[Lab, ...]:
        modes = {row["lab"]: row for row in self._store.find(tables.lab_dhcp)}
        return tuple(self._store.read(lab_of, row, [modes[row["name"]]] if row["name"] in modes else []) for row in rows)

    def _put_parts(self, item: Lab, *, new: bool) -> None:
        if not new:
            self._store.change(delete(tables.lab_dhcp).where(tables.lab_dhcp.c.lab == item.name))
        if item.foreign_dhcp:
            row: Row = {"lab": item.name, "mode": str(item.dhcp)}
            self._store.write(tables.lab_dhcp, statements.adding(tables.lab_dhcp, tuple(row)), row)

    def next_block(self) -> int:
        """Raises Exhausted('blocks')."""
        taken = {row["block"] for row in self._store.rows(select(tables.labs.c.block))}
        for block in range(BLOCKS):
            if block not in taken:
                return block
        raise Exhausted("blocks", f"All {BLOCKS} blocks of MAC addresses belong to a lab.", hint="Remove a lab first.")
