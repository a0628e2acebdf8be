# SPDX-License-Identifier: MIT
"""Which firmware is told to fetch what: the one table from which all forms of settings are made. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.contracts.dhcp import NetworkBoot

HTTP_CLIENT = "HTTPClient"
"""UEFI's HTTP boot takes an answer only if it has this vendor class (UEFI specification 2.10, 24.7.3.1)."""

TFTP_PORTS = (25000, 25255)
"""First and last UDP port from which a gateway sends boot loaders (RFC 1350, 4: a port of its own for each transfer); so many at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """`architectures`: numbers of DHCP option 93 (RFC 4578, 2.1; IANA "Processor Architecture Types"). A `file` with a scheme is a URL."""

    name: str
    architectures: tuple[int, ...]
    file: str

    @property
    def by_http(self) -> bool:
        return self.file.startswith("http://")


def offers(boot: NetworkBoot) -> tuple[Offer, ...]:
    """9 is what many UEFI machines say although they mean 7."""
    return (
        Offer(name="bios", architectures=(0,), file="core.0"),
        Offer(name="uefi", architectures=(7, 9), file="shimx64.efi"),
        Offer(name="http", architectures=(16,), file=f"{boot.controller}boot/shimx64.efi"),
    )


def guest_octets(boot: NetworkBoot) -> tuple[int, int, int]:
    """The first three octets of all guests' MACs."""
    return boot.guests >> 16 & 255, boot.guests >> 8 & 255, boot.guests & 255
