# SPDX-License-Identifier: MIT
"""The door to bridges, TAPs and filters. Works in the network namespace of the process.

Unknown guest ports are closed by default; a port's filters stand before its link is up; every change of rules is one atomic transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from labvirt.domain.addresses import InterfaceName, MacAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNetwork:
    """One lab's bridge. Guests may reach the gateway address only for DHCP and DNS; unknown
    terminals (`quarantine`) only DHCP, DNS and the controller's port."""

    lab: str
    bridge: InterfaceName
    gateway: IPv4Address
    network: IPv4Network
    quarantine: tuple[IPv4Address, IPv4Address]
    controller_port: int
    display_ports: tuple[int, int]
    """First and last TCP port of viewers on the gateway address: closed but for granted (address, port) pairs."""
    dhcp_servers: tuple[IPv4Address, IPv4Address] | None = None
    """First and last address from which guests may hear DHCP answers of others; None: from this host only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPort:
    """A guest's port: only this MAC and address may speak through it."""

    tap: InterfaceName
    bridge: InterfaceName
    mac: MacAddress
    address: IPv4Address
    owner_uid: int
    """User that may open the TAP (QEMU's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """An established viewer connection seen on the wire: a terminal's address to a guest's address and port."""

    source: IPv4Address
    destination: IPv4Address
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkState:
    """What of ours exists now: names by our pattern ('lvb...', 'lvt...')."""

    bridges: frozenset[InterfaceName]
    taps: frozenset[InterfaceName]
    filtered: frozenset[InterfaceName]
    """TAPs that have their rules."""
    rules_intact: bool
    """The base table stands as it should (another tool may have flushed it)."""


class Network(Protocol):
    def ensure_lab(self, lab: LabNetwork) -> None:
        """The bridge exists, is up, has the gateway address (no STP, no multicast snooping delays) and its rules. Idempotent; mends what is
        missing without touching ports. Raises NetworkError, HostNotReady (no right)."""

    def remove_lab(self, bridge: InterfaceName) -> None:
        """Bridge, rules and TAPs on it are gone. Absent is fine."""

    def plug(self, port: GuestPort) -> None:
        """The TAP exists (persistent), its filters stand, it is isolated on the bridge, then up. Idempotent. After a
        failure the TAP is gone. Raises NetworkError, HostNotReady."""

    def unplug(self, tap: InterfaceName) -> None:
        """TAP and its rules are gone. Absent is fine."""

    def grant_display(self, bridge: InterfaceName, source: IPv4Address, port: int) -> None:
        """From now only `source` may open new connections to this display port on the gateway; an older grant of the same port ends."""

    def revoke_display(self, bridge: InterfaceName, port: int) -> None:
        """Nobody may open new connections to this port."""

    def flows(self) -> tuple[Flow, ...]:
        """RDP connections (TCP 3389) between terminals and guests seen in the last 30 s."""

    def wake(self, bridge: InterfaceName, macs: tuple[MacAddress, ...]) -> None:
        """A magic packet for each of these cards went out to everybody on the bridge (UDP 9 to the lab's broadcast address; AMD, Magic
        Packet Technology, 20213). Nobody answers one: whether a machine woke is seen when it asks. Raises NetworkError (no bridge)."""

    def state(self) -> NetworkState:
        """What exists now. Raises NetworkError when it cannot be known."""
