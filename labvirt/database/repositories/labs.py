# SPDX-License-Identifier: MIT
"""Labs, and the allocation of their blocks of MAC addresses."""

from __future__ import annotations

from sqlalchemy import select

from labvirt.database import tables
from labvirt.database.mapping.lab import lab_of, lab_row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.store import Store
from labvirt.domain.addresses import BLOCKS
from labvirt.domain.lab import Lab
from labvirt.errors import Exhausted


class LabRepository(NamedRepository[Lab]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.labs, lab_row, lab_of)

    def next_block(self) -> int:
        """Raises Exhausted('blocks')."""
        taken = {row["block"] for row in self._store.rows(select(tables.labs.c.block))}
        for block in range(BLOCKS):
            if block not in taken:
                return block
        raise Exhausted("blocks", f"All {BLOCKS} blocks of MAC addresses belong to a lab.", hint="Remove a lab first.")
