# SPDX-License-Identifier: MIT
"""Terminals and their classes."""

from __future__ import annotations

from labvirt.database import tables
from labvirt.database.mapping.terminal import class_of, class_row, terminal_of, terminal_row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.store import Store
from labvirt.domain.addresses import MacAddress
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import TerminalClass


class TerminalRepository(NamedRepository[Terminal]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.terminals, terminal_row, terminal_of)

    def by_mac(self, mac: MacAddress) -> Terminal | None:
        return self._first(mac=str(mac))

    def by_inventory_id(self, value: str) -> Terminal | None:
        return self._first(inventory_id=value)

    def of_lab(self, lab: str) -> tuple[Terminal, ...]:
        return self._where(lab=lab)

    def at_seat(self, lab: str, seat: int) -> Terminal | None:
        return self._first(lab=lab, seat=seat)


class ClassRepository(NamedRepository[TerminalClass]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.classes, class_row, class_of)
