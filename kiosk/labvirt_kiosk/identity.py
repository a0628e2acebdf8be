# SPDX-License-Identifier: MIT
"""Which MAC this terminal has: that of a named interface, or of the one with the default route.

Read anew at each question, since a terminal may start before its DHCP lease. Uses /proc and an ioctl instead of
/sys, which shows the interfaces of the network namespace that mounted it.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path

_SIOCGIFADDR = 0x8915  # linux/sockios.h
_SIOCGIFHWADDR = 0x8927
_ARPHRD_ETHER = 1  # linux/if_arp.h


def mac_of(interface: str | None) -> str | None:
    """The MAC as `52:54:00:12:34:56`; None without such an Ethernet interface (the source address is the id then)."""
    name = interface_of(interface)
    if name is None:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        try:
            reply = fcntl.ioctl(door, _SIOCGIFHWADDR, struct.pack("256s", name.encode()))
        except OSError:  # no such interface (yet): the controller then goes by the source address
            return None
    family = struct.unpack_from("H", reply, 16)[0]
    return ":".join(f"{byte:02x}" for byte in reply[18:24]) if family == _ARPHRD_ETHER else None


def address_of(interface: str | None) -> str | None:
    """The IPv4 address of the interface by whose MAC this terminal is known; None while it has none."""
    name = interface_of(interface)
    if name is None:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        try:
            reply = fcntl.ioctl(door, _SIOCGIFADDR, struct.pack("256s", name.encode()))
        except OSError:  # between two leases
            return None
    return socket.inet_ntoa(reply[20:24])


def interface_of(interface: str | None) -> str | None:
    """The interface by whose MAC the terminal is known; None when there is none whose name the kernel would take."""
    name = interface or _default_route_interface()
    return name if name is not None and 0 < len(name.encode()) < 16 and "/" not in name and name not in (".", "..") else None


def _default_route_interface(table: Path = Path("/proc/net/route")) -> str | None:
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    routes = [line.split() for line in lines]
    defaults = [(int(route[6]), route[0]) for route in routes if len(route) > 7 and route[1] == route[7] == "00000000"]
    return min(defaults)[1] if defaults else None
