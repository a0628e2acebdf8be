# SPDX-License-Identifier: MIT
"""The door to the DHCP and DNS servers of labs: what they are given, and what they really gave out; and the settings for servers of
others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Protocol

from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.kiosk import Kiosk
from labvirt.domain.lab import DhcpMode
from labvirt.domain.lease import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpHost:
    """A known host: always this address and name."""

    mac: MacAddress
    address: IPv4Address
    name: str
    guest: bool = False
    """A guest of ours; else a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkBoot:
    """What terminals and strangers are offered when they boot from the network; guests are not."""

    controller: str
    """Where they reach the controller: http://GATEWAY:PORT/."""
    kiosk: Kiosk
    folder: Path
    """Holds the files of `kiosk`."""
    guests: int
    """The 24-bit prefix of all guests' MACs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpLab:
    """Guests and adopted terminals are `hosts`; strangers get `quarantine` addresses with a short lease. `boot` None: no network boot."""

    lab: str
    bridge: InterfaceName
    gateway: IPv4Address
    network: IPv4Network
    domain: str
    hosts: tuple[DhcpHost, ...]
    quarantine: tuple[IPv4Address, IPv4Address]
    lease_seconds: int = 43200
    quarantine_lease_seconds: int = 120
    boot: NetworkBoot | None = None
    mode: DhcpMode = DhcpMode.OWN


class DhcpServer(Protocol):
    def apply(self, lab: DhcpLab) -> None:
        """The lab is served with exactly these hosts (deletions too): files written atomically, server started or
        told. A server that outlived a controller is adopted. Idempotent and cheap when nothing changed. Raises DhcpError, HostNotReady.

        With `boot`, firmware of terminals and strangers hears which loader to fetch, by its architecture (RFC 4578, 2.1), and the gateway
        gives the loaders and their menu by TFTP; without, neither.

        Names are served in every mode. In PROXY mode nobody gets an address, and firmware still hears how to boot; in NONE nobody hears
        anything by DHCP."""

    def leases(self, lab: str) -> tuple[Lease, ...]:
        """What was given out, read back from the server. Empty when nothing was."""

    def serving(self) -> frozenset[str]:
        """Labs whose server lives (proven, not by pid file)."""

    def stop(self, lab: str) -> None:
        """The server of this lab is gone and its files too, except the lease file. Absent is fine."""


class NameLookup(Protocol):
    def resolve(self, name: str, server: IPv4Address) -> tuple[IPv4Address, ...]:
        """The addresses of `name` as `server` says; empty when it says there are none. Raises DnsError when it does not answer."""


class DhcpForm(StrEnum):
    """What the settings of somebody else's DHCP server are written for."""

    DNSMASQ = "dnsmasq"
    DNSMASQ_PROXY = "dnsmasq-proxy"
    """dnsmasq that only tells how to boot, beside a server that gives the addresses (proxyDHCP)."""
    KEA = "kea"
    ISC = "isc"
    CSV = "csv"


class DhcpForms(Protocol):
    def render(self, form: DhcpForm, lab: DhcpLab) -> str:
        """The settings that a foreign server needs for this lab, as a text of its own form. Raises InvalidInput for a bad name."""
