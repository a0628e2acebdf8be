# SPDX-License-Identifier: MIT
"""Who is it that asks? From an id or a source address to a known terminal, by what is registered and what DHCP gave
out.

An id only identifies. Nothing here proves anything: the proof (the lease) is asked for where a secret is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.addresses import MacAddress
from labvirt.domain.lab import Lab
from labvirt.domain.lease import owner
from labvirt.domain.names import check_terminal_id
from labvirt.domain.terminal import Stranger, Terminal, check_code
from labvirt.errors import EngineAway, InvalidInput
from labvirt.usecases.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`id` is what was asked for in its one spelling; `mac` is what is known or claimed; `by_mac`: the asker named a
    MAC.
    """

    id: str
    terminal: Terminal | None
    mac: MacAddress | None
    by_mac: bool = False


def find(ports: Ports, id: str | None, source: IPv4Address | None) -> Found:
    """The terminal, if one is known by this id (MAC, address, inventory number or name), else by the source address
    when there is no id.

    Raises InvalidInput for an id of the wrong form and when there is neither.
    """
    if id is None:
        if source is None:
            raise InvalidInput("id", "is needed when the request has no IPv4 source address", hint="Add ?id=MAC-ADDRESS.")
        return _by_address(ports, source)
    check_terminal_id(id)
    mac = mac_of(id)
    with ports.database.read() as work:
        terminal = work.terminals.by_mac(mac) if mac is not None else None
        terminal = terminal or work.terminals.by_inventory_id(id) or work.terminals.get(id)
    if terminal is not None:
        return Found(id=id, terminal=terminal, mac=terminal.mac, by_mac=mac is not None)
    address = address_of(id)
    if address is not None:
        return _by_address(ports, address)
    return Found(id=str(mac) if mac else id, terminal=None, mac=mac, by_mac=mac is not None)


def mac_of(text: str) -> MacAddress | None:
    """The MAC address that `text` spells, if it does."""
    try:
        return MacAddress.parse(text)
    except InvalidInput:
        return None


def stranger_of(work: UnitOfWork, code_or_id: str) -> Stranger | None:
    """Who is meant by a code in any spelling, or by the id under which it asked. Whoever asks whose it is and whoever acts on it use this
    one, or another spelling would pass by the limits of a lab.
    """
    mac = mac_of(code_or_id)
    found = work.strangers.get(str(mac)) if mac else None
    found = found or work.strangers.get(code_or_id)
    if found is not None:
        return found
    try:
        return work.strangers.by_code(check_code(code_or_id))
    except InvalidInput:
        return None


def address_of(text: str) -> IPv4Address | None:
    """The IPv4 address that `text` spells, if it does."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def lab_at(work: UnitOfWork, address: IPv4Address) -> Lab | None:
    """The lab whose network holds this address."""
    return next((lab for lab in work.labs.list() if address in lab.network.network), None)


def _by_address(ports: Ports, address: IPv4Address) -> Found:
    """By the plan first (known terminals always get their planned address), then by the leases (strangers, and the
    freshly adopted).
    """
    with ports.database.read() as work:
        lab = lab_at(work, address)
        planned = _planned(work, lab, address) if lab else None
    if planned is not None:
        return Found(id=str(address), terminal=planned, mac=planned.mac)
    mac = _leased(ports, lab, address) if lab else None
    if mac is None:
        return Found(id=str(address), terminal=None, mac=None)
    with ports.database.read() as work:
        return Found(id=str(mac), terminal=work.terminals.by_mac(mac), mac=mac)


def _planned(work: UnitOfWork, lab: Lab, address: IPv4Address) -> Terminal | None:
    seat = int(address) - int(lab.network.terminal(1)) + 1
    if not 1 <= seat <= lab.network.capacity:
        return None
    return work.terminals.at_seat(lab.name, seat)


def _leased(ports: Ports, lab: Lab, address: IPv4Address) -> MacAddress | None:
    try:
        return owner(ports.engine.leases(lab.name), address, ports.clock.now())
    except EngineAway:
        return None
