# SPDX-License-Identifier: MIT
"""Leases as far as this controller knows them, whoever gives them."""

from __future__ import annotations

from labvirt.domain.lease import Lease
from labvirt.engine.world import World
from labvirt.usecases.served_lab import known_terminals


def leases(world: World, lab: str) -> tuple[Lease, ...]:
    """What our server gave out. Where the campus gives the addresses nobody here sees what it gave: then each terminal with a MAC holds the
    address that is computed from its seat, for ever, which is what the campus was told (`labvirt lab dhcp`); of guests and strangers
    nothing is known. Raises DhcpError, DatabaseError."""
    with world.database.read() as work:
        found = work.labs.get(lab)
        terminals = work.terminals.of_lab(lab) if found is not None and found.foreign_dhcp else ()
    if found is None or not found.foreign_dhcp:
        return world.dhcp.leases(lab)
    hosts = known_terminals(found, terminals)
    return tuple(Lease(lab=lab, mac=host.mac, address=host.address, name=host.name, expires=None) for host in hosts)
