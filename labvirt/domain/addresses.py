# SPDX-License-Identifier: MIT
"""MAC addresses, TAP and bridge names, and the plan of a lab's IPv4 network: what a seat number means on the wire.

The plan of a network of N addresses, so that any seat's address can be computed by hand:

    0            network            N/4 + s      terminal of seat s (s = 1 ...)
    1            gateway            N/2 + s      guest of seat s
    2 ... 15     servers of others  (none in a /26)
    16 ... N/4-1 quarantine range   N-18+k       special guest k (k = 1 ... 16): admin sessions, canaries, templates

A /24 therefore has 63 seats, a /22 255, a /18 4079 (the block of MACs ends there).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from labvirt.errors import Exhausted, InvalidInput

SEATS_PER_BLOCK = 4096
"""A lab's block of MAC addresses: 12 bits."""

SPECIALS = 16
"""The top numbers of a block: admin sessions, canaries and templates."""

LAST_SEAT = SEATS_PER_BLOCK - SPECIALS - 1
BLOCKS = 4096

PRIVATE = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"))
"""RFC 1918. Python's is_private also takes documentation, benchmark and future networks."""

DEFAULT_MAC_PREFIX = 0x024C56
"""Locally administered unicast (IEEE 802: bit 1 of the first octet set, bit 0 clear), then 'LV'."""

_PAIRS = r"[0-9a-f]{2}([:.\-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}"
_FOURS = r"[0-9a-f]{4}([:.\-])[0-9a-f]{4}\2[0-9a-f]{4}"
_MAC = re.compile(rf"(?:{_PAIRS}|{_FOURS}|[0-9a-f]{{12}})\Z")
"""aa:bb:cc:dd:ee:ff, aa-bb-..., aabb.ccdd.eeff or aabbccddeeff. One separator throughout: 100.100.100.100 is an address, not a MAC."""
_INTERFACE = re.compile(r"[a-z][a-z0-9]{0,14}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class MacAddress:
    """A 48-bit unicast MAC address. `str()` gives aa:bb:cc:dd:ee:ff."""

    value: int

    def __post_init__(self) -> None:
        if not 0 < self.value < 1 << 48:
            raise InvalidInput("mac", "must be 48 bits and not zero")
        if self.value >> 40 & 1:
            raise InvalidInput("mac", "must be a unicast address (the lowest bit of the first byte is 0)")

    @classmethod
    def parse(cls, text: str, field: str = "mac") -> MacAddress:
        """Read any usual spelling: colons, dashes, dots or nothing between the digits."""
        spelling = text.strip().lower()
        if not _MAC.match(spelling):
            raise InvalidInput(field, "is not a MAC address", hint="Write it like 02:4c:56:00:10:07.")
        return cls(int(re.sub(r"[:.\-]", "", spelling), 16))

    def __str__(self) -> str:
        digits = f"{self.value:012x}"
        return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


@dataclass(frozen=True, slots=True, order=True)
class InterfaceName:
    """The name of a TAP or bridge: at most 15 characters (IFNAMSIZ - 1, linux/if.h), letters and digits only."""

    value: str

    def __post_init__(self) -> None:
        if not _INTERFACE.match(self.value):
            raise InvalidInput("interface", "must be 1 to 15 letters and digits")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """The numbers of one lab's network. Cannot be built for a network that is too small or too big to be planned."""

    network: IPv4Network

    def __post_init__(self) -> None:
        if not 18 <= self.network.prefixlen <= 26:
            raise InvalidInput("network", "must have a prefix length of 18 to 26", hint="A /24 has room for 63 seats, a /22 for 255.")
        if not any(self.network.subnet_of(private) for private in PRIVATE):
            raise InvalidInput("network", "must be a private IPv4 network (RFC 1918)", hint="For example 10.77.0.0/24.")

    @property
    def capacity(self) -> int:
        """How many seats fit."""
        size = self.network.num_addresses
        return min(size // 4 - 1, size // 2 - SPECIALS - 2, LAST_SEAT)

    @property
    def gateway(self) -> IPv4Address:
        return self.network.network_address + 1

    @property
    def quarantine(self) -> tuple[IPv4Address, IPv4Address]:
        """First and last address for terminals that nobody has adopted."""
        base = self.network.network_address
        return base + 16 if self.network.num_addresses > 64 else base + 2, base + self.network.num_addresses // 4 - 1

    @property
    def servers(self) -> tuple[IPv4Address, IPv4Address] | None:
        """First and last address that a DHCP server or relay of the campus may have here; None in a /26, which has no room for one."""
        last = self.quarantine[0] - 1
        return (self.gateway + 1, last) if last > self.gateway else None

    def terminal(self, seat: int) -> IPv4Address:
        self._check(seat)
        return self.network.network_address + self.network.num_addresses // 4 + seat

    def guest(self, seat: int) -> IPv4Address:
        """Seats 1 to `capacity`, and the special numbers LAST_SEAT+1 to 4095."""
        if LAST_SEAT < seat < SEATS_PER_BLOCK:
            return self.network.broadcast_address - SPECIALS + (seat - LAST_SEAT - 1)
        self._check(seat)
        return self.network.network_address + self.network.num_addresses // 2 + seat

    def _check(self, seat: int) -> None:
        if not 1 <= seat <= self.capacity:
            raise Exhausted(
                "seats",
                f"Seat {seat} does not fit into {self.network}: it has room for seats 1 to {self.capacity}.",
                hint="Give the lab a bigger network (labvirt lab set NAME --network ...).",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """The names that follow from a lab's block number (0 to 4095) and the site's 24-bit MAC prefix."""

    block: int
    mac_prefix: int = DEFAULT_MAC_PREFIX

    def __post_init__(self) -> None:
        if not 0 <= self.block < BLOCKS:
            raise InvalidInput("block", f"must be 0 to {BLOCKS - 1}")
        if not 0 < self.mac_prefix < 1 << 24 or self.mac_prefix >> 16 & 3 != 2:
            raise InvalidInput("mac_prefix", "must be 24 bits, locally administered and unicast", hint="Its second digit is 2, 6, a or e.")

    @property
    def bridge(self) -> InterfaceName:
        return InterfaceName(f"lvb{self.block:03x}")

    def mac(self, seat: int) -> MacAddress:
        """The guest's MAC: prefix, block, seat."""
        self._check(seat)
        return MacAddress(self.mac_prefix << 24 | self.block << 12 | seat)

    def tap(self, seat: int) -> InterfaceName:
        self._check(seat)
        return InterfaceName(f"lvt{self.block:03x}{seat:03x}")

    @staticmethod
    def _check(seat: int) -> None:
        if not 0 <= seat < SEATS_PER_BLOCK:
            raise InvalidInput("seat", f"must be 0 to {SEATS_PER_BLOCK - 1}")
