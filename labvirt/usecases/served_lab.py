# SPDX-License-Identifier: MIT
"""What a DHCP server of a lab is told, whoever runs it; and who has an address of its own: guests of all seats, special guests, and
terminals with a MAC."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from labvirt.contracts.dhcp import DhcpHost, DhcpLab, NetworkBoot
from labvirt.contracts.kiosk import BootFolder
from labvirt.domain.addresses import LAST_SEAT, SEATS_PER_BLOCK
from labvirt.domain.lab import Lab
from labvirt.domain.terminal import Terminal
from labvirt.errors import Exhausted

log = logging.getLogger(__name__)


def served_lab(lab: Lab, terminals: Iterable[Terminal], controller_port: int, boot: BootFolder | None) -> DhcpLab:
    """All that a DHCP server of this lab is told, ours or the campus's; `boot` is what terminals and strangers start with."""
    gateway = lab.network.gateway
    told = None
    if boot is not None:
        told = NetworkBoot(controller=f"http://{gateway}:{controller_port}/", kiosk=boot.kiosk, folder=boot.path, guests=lab.mac_prefix)
    return DhcpLab(
        lab=lab.name,
        bridge=lab.bridge,
        gateway=gateway,
        network=lab.network.network,
        domain=lab.domain,
        hosts=known_hosts(lab, terminals),
        quarantine=lab.network.quarantine,
        boot=told,
        mode=lab.dhcp,
    )


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
