# SPDX-License-Identifier: MIT
"""A lab: a group of terminals that share profiles and a network; it may spread over several rooms."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address

from labvirt.domain.addresses import DEFAULT_MAC_PREFIX, LAST_SEAT, AddressPlan, BlockPlan, InterfaceName, MacAddress
from labvirt.domain.names import check_name
from labvirt.errors import InvalidInput

_UUID_SPACE = uuid.UUID("6c616276-6972-5477-8000-6c6162766972")
"""Fixed for ever: changing it changes the SMBIOS uuid of every guest ('labvir' in the digits)."""


DOMAIN_LENGTH = 190
"""With a guest's name before it, it still fits the 253 characters of a DNS name (RFC 1035, 2.3.4)."""


class OnLeave(StrEnum):
    """What happens to a guest when its viewer leaves."""

    KEEP = "keep"
    RESET = "reset"
    STOP = "stop"


class DhcpMode(StrEnum):
    """Who answers DHCP in the lab's network. Names (DNS) and boot loaders (TFTP) are this controller's in every mode."""

    OWN = "own"
    """This controller: addresses, and how to boot."""
    PROXY = "proxy"
    """The campus gives the addresses, this controller only tells how to boot (proxyDHCP: PXE 2.1, 2.2.3)."""
    NONE = "none"
    """The campus: both, by settings that this controller writes for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatIdentity:
    """Everything that is computed from lab and seat: the same for ever, on every host."""

    guest: str
    seat: int
    mac: MacAddress
    address: IPv4Address
    tap: InterfaceName
    uuid: uuid.UUID
    serial: str
    """SMBIOS product serial: the guest's name, readable inside without a network."""
    display_port: int
    """TCP port of the viewer protocol on the lab's gateway address, one per seat (SPICE)."""


DISPLAY_PORT_BASE = 20000
"""Seat n is at 20000 + n: above the registered services a lab server runs, below the ephemeral range (32768, Linux default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """`block` decides the MAC addresses, `network` the IP addresses; both are unique among labs."""

    name: str
    block: int
    network: AddressPlan
    max_instances: int
    """No seat beyond this number gets a guest (S2-30)."""
    start_instances: int = 0
    """So many seats' guests are started with the engine, before anybody asks."""
    on_leave: OnLeave = OnLeave.KEEP
    leave_grace_seconds: int = 60
    domain: str = "labvirt.internal"
    """DNS domain of terminals and guests ('internal' is reserved for private use, ICANN resolution 2024.07.29.06)."""
    mac_prefix: int = DEFAULT_MAC_PREFIX
    note: str = ""
    dhcp: DhcpMode = DhcpMode.OWN

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        BlockPlan(block=self.block, mac_prefix=self.mac_prefix)
        if not 1 <= self.max_instances <= self.network.capacity:
            raise InvalidInput(
                "max_instances",
                f"must be 1 to {self.network.capacity}, the seats that {self.network.network} has room for",
                hint="Lower it, or give the lab a bigger network.",
            )
        if not 0 <= self.start_instances <= self.max_instances:
            raise InvalidInput("start_instances", "must be 0 to max_instances")
        if not 0 <= self.leave_grace_seconds <= 86400:
            raise InvalidInput("leave_grace_seconds", "must be 0 to 86400 (a day)")
        if self.foreign_dhcp and self.network.servers is None:
            raise InvalidInput(
                "dhcp",
                f"must be own: {self.network.network} has no address left for a server of the campus",
                hint="Give the lab a network of /25 or bigger.",
            )
        if len(self.domain) > DOMAIN_LENGTH:
            raise InvalidInput("domain", f"must be at most {DOMAIN_LENGTH} characters")
        for label in self.domain.split("."):
            check_name(label, "domain")

    @property
    def plan(self) -> BlockPlan:
        return BlockPlan(block=self.block, mac_prefix=self.mac_prefix)

    @property
    def bridge(self) -> InterfaceName:
        return self.plan.bridge

    @property
    def foreign_dhcp(self) -> bool:
        """The campus gives the addresses: nobody here sees its leases."""
        return self.dhcp is not DhcpMode.OWN

    def guest_name(self, seat: int) -> str:
        if seat > LAST_SEAT:
            return f"{self.name}-s{seat - LAST_SEAT:02d}"
        return f"{self.name}-{seat:02d}"

    def terminal_host_name(self, seat: int) -> str:
        return f"{self.name}-t{seat:02d}"

    @lru_cache(maxsize=4096)  # noqa: B019 - labs are few, frozen and compared by value; asked for at every question and every look
    def identity(self, seat: int) -> SeatIdentity:
        """Raises Exhausted for a seat that does not fit the network."""
        mac = self.plan.mac(seat)
        name = self.guest_name(seat)
        return SeatIdentity(
            guest=name,
            seat=seat,
            mac=mac,
            address=self.network.guest(seat),
            tap=self.plan.tap(seat),
            uuid=uuid.uuid5(_UUID_SPACE, str(mac)),
            serial=name,
            display_port=DISPLAY_PORT_BASE + seat,
        )
