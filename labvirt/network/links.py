# SPDX-License-Identifier: MIT
"""The door to the kernel's interfaces (rtnetlink by pyroute2): open it, look at interfaces, translate its errors."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from labvirt.domain.addresses import InterfaceName
from labvirt.errors import HostNotReady, NetworkError

BRIDGE_NAME = re.compile(r"lvb[0-9a-f]{3}\Z")
_TUN = "/dev/net/tun"
TAP_NAME = re.compile(r"lvt[0-9a-f]{6}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One interface of ours. `note` is its alias."""

    name: InterfaceName
    index: int
    kind: str
    up: bool
    master: int | None
    note: str | None
    address: str


@contextlib.contextmanager
def rtnetlink(operation: str, subject: object) -> Iterator[IPRoute]:
    """A connection to the kernel for one operation. What goes wrong inside becomes NetworkError or HostNotReady."""
    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        raise _translated(int(error.code), str(error), operation, str(subject)) from error
    except OSError as error:
        raise _translated(error.errno or 0, error.strerror or str(error), operation, str(subject)) from error


def index_of(name: InterfaceName) -> int | None:
    """The interface's number in this network namespace; None when there is none of this name."""
    try:
        return socket.if_nametoindex(str(name))
    except OSError:
        return None


def names(pattern: re.Pattern[str]) -> frozenset[InterfaceName]:
    """All interfaces of this network namespace whose name is like this. Raises NetworkError."""
    try:
        found = [name for _, name in socket.if_nameindex()]
    except OSError as error:
        raise _translated(error.errno or 0, str(error), "list", "interfaces") from error
    return frozenset(InterfaceName(name) for name in found if pattern.match(name))


def look(route: IPRoute, name: InterfaceName) -> Link | None:
    """The interface as it is now; None when there is none of this name."""
    index = index_of(name)
    if index is None:
        return None
    try:
        return _link(route.get_links(index)[0])
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise


def look_all(route: IPRoute) -> tuple[Link, ...]:
    """Every bridge and TAP with a name of ours."""
    return tuple(
        _link(message)
        for message in route.get_links()
        if BRIDGE_NAME.match(message.get_attr("IFLA_IFNAME")) or TAP_NAME.match(message.get_attr("IFLA_IFNAME"))
    )


def remove(route: IPRoute, name: InterfaceName, kind: str) -> None:
    """The interface is gone. Absent is fine; one of another kind is not ours and stays."""
    found = look(route, name)
    if found is None or found.kind != kind:
        return
    try:
        # PRIVILEGE: CAP_NET_ADMIN. Its name has one of our patterns and its kind is what we make.
        route.link("del", index=found.index)
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise


def _link(message: Any) -> Link:
    information = message.get_attr("IFLA_LINKINFO")
    return Link(
        name=InterfaceName(message.get_attr("IFLA_IFNAME")),
        index=message["index"],
        kind=(information.get_attr("IFLA_INFO_KIND") if information else None) or "",
        up=bool(message["flags"] & 1),  # IFF_UP, linux/if.h
        master=message.get_attr("IFLA_MASTER"),
        note=message.get_attr("IFLA_IFALIAS"),
        address=message.get_attr("IFLA_ADDRESS") or "",
    )


def _translated(number: int, words: str, operation: str, subject: str) -> NetworkError | HostNotReady:
    if number in (errno.EPERM, errno.EACCES) and operation == "plug" and not os.access(_TUN, os.R_OK | os.W_OK):
        return HostNotReady(
            f"This user may not open {_TUN}.", hint=f"As root: chmod 0666 {_TUN} (udev does it on Debian; the right is CAP_NET_ADMIN)"
        )
    if number in (errno.EPERM, errno.EACCES):
        return HostNotReady(
            "Network interfaces may not be changed by this user.",
            hint="Run labvirt serve as root or with CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN).",
        )
    if number == errno.EOPNOTSUPP:
        return HostNotReady(f"This kernel cannot make what {subject} needs.", hint="Load the modules: modprobe -a tun bridge")
    if number == errno.ENOENT and "tun" in words:
        return HostNotReady(f"This host has no {_TUN}.", hint="Load the module: modprobe tun")
    return NetworkError(
        f"The kernel refused to {operation} {subject}: {words}.",
        operation=operation,
        subject=subject,
        hint=f"Look at it: ip -d link show {subject}",
    )
