# SPDX-License-Identifier: MIT
"""The door to the DHCP and DNS servers of labs: what they are given, and what they really gave out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.lease import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpHost:
    """A known host: always this address and name."""

    mac: MacAddress
    address: IPv4Address
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpLab:
    """Guests and adopted terminals are `hosts`; strangers get `quarantine` addresses with a short lease."""

    lab: str
    bridge: InterfaceName
    gateway: IPv4Address
    network: IPv4Network
    domain: str
    hosts: tuple[DhcpHost, ...]
    quarantine: tuple[IPv4Address, IPv4Address]
    lease_seconds: int = 43200
    quarantine_lease_seconds: int = 120


class DhcpServer(Protocol):
    def apply(self, lab: DhcpLab) -> None:
        """The lab is served with exactly these hosts (deletions too): files written atomically, server started or
        told. A server that outlived a controller is adopted. Idempotent and cheap when nothing changed. Raises DhcpError, HostNotReady."""

    def leases(self, lab: str) -> tuple[Lease, ...]:
        """What was given out, read back from the server. Empty when nothing was."""

    def serving(self) -> frozenset[str]:
        """Labs whose server lives (proven, not by pid file)."""

    def stop(self, lab: str) -> None:
        """The server of this lab is gone and its files too, except the lease file. Absent is fine."""


class NameLookup(Protocol):
    def resolve(self, name: str, server: IPv4Address) -> tuple[IPv4Address, ...]:
        """The addresses of `name` as `server` says; empty when it says there are none. Raises DnsError when it does not answer."""
