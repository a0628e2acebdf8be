# SPDX-License-Identifier: MIT
"""Magic packets: what wakes a machine whose network card listens while it is off (AMD, Magic Packet Technology, 20213, 1995)."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from labvirt.contracts.network import LabNetwork
from labvirt.domain.addresses import MacAddress
from labvirt.errors import HostNotReady, NetworkError

PORT = 9
"""Discard (RFC 863): nobody answers, and it is where everybody sends them; the card looks only for the pattern."""
REPEATS = 3
"""Nobody says that one arrived."""

_SO_BINDTODEVICE = 25
"""asm-generic/socket.h."""


def packet(mac: MacAddress) -> bytes:
    """Six times ff, then the card's address sixteen times."""
    return b"\xff" * 6 + mac.value.to_bytes(6, "big") * 16


def send(lab: LabNetwork, macs: tuple[MacAddress, ...]) -> None:
    """REPEATS packets for each of them went out of the lab's bridge, to its broadcast address. Raises NetworkError, HostNotReady."""
    there = str(IPv4Address(lab.network.broadcast_address)), PORT
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            # Out of this bridge and no other, whatever the routes say; needs CAP_NET_RAW only where it was bound before (Linux 5.7).
            out.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, str(lab.bridge).encode() + b"\0")
            for _ in range(REPEATS):
                for mac in macs:
                    out.sendto(packet(mac), there)
    except PermissionError as error:
        raise HostNotReady(
            f"This user may not send out of {lab.bridge}.", hint="Run labvirt serve as root or with CAP_NET_RAW and CAP_NET_ADMIN."
        ) from error
    except OSError as error:
        raise NetworkError(
            f"The magic packet could not be sent out of {lab.bridge}: {error.strerror}.",
            operation="wake",
            subject=str(lab.bridge),
            hint=f"Look at it: ip link show {lab.bridge}",
        ) from error
