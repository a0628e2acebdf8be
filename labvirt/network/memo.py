# SPDX-License-Identifier: MIT
"""What we note on an interface (its alias, `ip link` shows it): the lab of a bridge, the identity behind a TAP. PURE.

The kernel keeps the notes as long as the interface, so rules that another tool flushed can be made anew by an engine that
has just started. Only who may change interfaces (CAP_NET_ADMIN) can write them.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

from labvirt.contracts.network import GuestPort, LabNetwork
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.errors import InvalidInput

LIMIT = 255
"""IFALIASZ - 1 (linux/if.h)."""

_LAB = re.compile(
    r"labvirt lab ([a-z0-9-]+) ([0-9.]+)/([0-9]+) quarantine ([0-9.]+)-([0-9.]+) controller ([0-9]+) displays ([0-9]+)-([0-9]+)\Z"
)
_PORT = re.compile(r"labvirt port ([0-9a-f:]+) ([0-9.]+) uid ([0-9]+)\Z")


def render_lab(lab: LabNetwork) -> str:
    first, last = lab.quarantine
    text = (
        f"labvirt lab {lab.lab} {lab.gateway}/{lab.network.prefixlen} quarantine {first}-{last} "
        f"controller {lab.controller_port} displays {lab.display_ports[0]}-{lab.display_ports[1]}"
    )
    assert len(text) <= LIMIT
    return text


def parse_lab(bridge: InterfaceName, note: str | None) -> LabNetwork | None:
    """The lab of this bridge; None when the note is not ours."""
    match = _LAB.match(note or "")
    if not match:
        return None
    lab, gateway, length, first, last, controller, low, high = match.groups()
    try:
        return LabNetwork(
            lab=lab,
            bridge=bridge,
            gateway=IPv4Address(gateway),
            network=IPv4Network((gateway, int(length)), strict=False),
            quarantine=(IPv4Address(first), IPv4Address(last)),
            controller_port=int(controller),
            display_ports=(int(low), int(high)),
        )
    except ValueError:
        return None


def render_port(port: GuestPort) -> str:
    return f"labvirt port {port.mac} {port.address} uid {port.owner_uid}"


def parse_port(tap: InterfaceName, bridge: InterfaceName, note: str | None) -> GuestPort | None:
    """Who may speak through this TAP; None when the note is not ours."""
    match = _PORT.match(note or "")
    if not match:
        return None
    try:
        return GuestPort(
            tap=tap,
            bridge=bridge,
            mac=MacAddress.parse(match[1]),
            address=IPv4Address(match[2]),
            owner_uid=int(match[3]),
        )
    except (ValueError, InvalidInput):
        return None
