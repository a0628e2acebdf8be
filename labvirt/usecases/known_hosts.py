# SPDX-License-Identifier: MIT
"""Who of a lab has an address of its own, whoever gives it: guests of all seats, special guests, and terminals with a MAC."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from labvirt.contracts.dhcp import DhcpHost
from labvirt.domain.addresses import LAST_SEAT, SEATS_PER_BLOCK
from labvirt.domain.lab import Lab
from labvirt.domain.terminal import Terminal
from labvirt.errors import Exhausted

log = logging.getLogger(__name__)


def known_hosts(lab: Lab, terminals: Iterable[Terminal]) -> tuple[DhcpHost, ...]:
    """By seat: guests, then terminals. Terminals of other labs are left out; one whose seat does not fit is logged and left out."""
    hosts = []
    for seat in (*range(1, lab.max_instances + 1), *range(LAST_SEAT + 1, SEATS_PER_BLOCK)):
        identity = lab.identity(seat)
        hosts.append(DhcpHost(mac=identity.mac, address=identity.address, name=identity.guest, guest=True))
    return (*hosts, *known_terminals(lab, terminals))


def known_terminals(lab: Lab, terminals: Iterable[Terminal]) -> tuple[DhcpHost, ...]:
    """The terminals only."""
    hosts = []
    for terminal in sorted(terminals, key=lambda each: each.seat):
        if terminal.lab != lab.name or terminal.mac is None:
            continue
        try:
            address = lab.network.terminal(terminal.seat)
        except Exhausted:
            log.warning("terminal %s has seat %d, which does not fit %s", terminal.name, terminal.seat, lab.network.network)
            continue
        hosts.append(DhcpHost(mac=terminal.mac, address=address, name=lab.terminal_host_name(terminal.seat)))
    return tuple(hosts)
