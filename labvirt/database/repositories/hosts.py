# SPDX-License-Identifier: MIT
"""Hosts."""

from __future__ import annotations

from labvirt.database import tables
from labvirt.database.mapping.host import host_of, host_row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.store import Store
from labvirt.domain.host import Host


class HostRepository(NamedRepository[Host]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.hosts, host_row, host_of)
