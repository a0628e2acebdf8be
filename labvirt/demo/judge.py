# SPDX-License-Identifier: MIT
"""Judging a seat from outside: what the DHCP server wrote, what the name server says, ping, the viewer's sockets, the picture.

Nothing here asks the controller whether it believes that all is well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.demo.terminal import DemoTerminal
from labvirt.system import process

_TIME = re.compile(rb"time[=<]([0-9.]+) ?ms")
ESTABLISHED = "01"
"""TCP_ESTABLISHED in /proc/net/tcp (include/net/tcp_states.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the seat's guest must be, as `labvirt guest explain` says: computed from lab and seat."""

    seat: int
    guest: str
    mac: str
    address: IPv4Address
    domain: str
    gateway: IPv4Address


def lease_seen(leases: Path, expected: Expected) -> bool:
    """Does dnsmasq's own lease file (expiry, MAC, address, name, client id) give this MAC this address?"""
    try:
        lines = leases.read_text().splitlines()
    except OSError:
        return False
    return any(fields[1:3] == [expected.mac, str(expected.address)] for line in lines if len(fields := line.split()) >= 4)


def name_resolves(terminal: DemoTerminal, expected: Expected) -> bool:
    """Does the lab's name server, asked from the terminal, give the guest's name its address?"""
    name = f"{expected.guest}.{expected.domain}"
    argv = ["ip", "netns", "exec", terminal.namespace, "busybox", "nslookup", "-type=a", name, str(expected.gateway)]
    result = process.run(argv, timeout=5)
    answers = result.stdout.decode("utf-8", "replace").partition(name)[2]
    return result.ok and re.search(rf"\b{re.escape(str(expected.address))}\b", answers) is not None


def ping_ms(terminal: DemoTerminal, expected: Expected) -> float | None:
    """Round trip from the terminal to the guest in milliseconds; None without an answer within a second."""
    result = process.run(["ip", "netns", "exec", terminal.namespace, "ping", "-n", "-c", "1", "-W", "1", str(expected.address)], timeout=5)
    match = _TIME.search(result.stdout) if result.ok else None
    return float(match[1]) if match else None


def viewer_connected(viewer_pid: int | None, gateway: IPv4Address) -> bool:
    """Has the viewer's own network namespace an established connection to a display port of the gateway?"""
    if viewer_pid is None:
        return False
    try:
        lines = Path(f"/proc/{viewer_pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return False
    wanted = gateway.packed[::-1].hex().upper()  # little-endian host: the address is printed as a native integer
    for line in lines:
        fields = line.split()
        remote, port = fields[2].split(":")
        if fields[3] == ESTABLISHED and remote == wanted and 20000 < int(port, 16) <= 24095:
            return True
    return False
