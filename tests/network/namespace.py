# SPDX-License-Identifier: MIT
"""Network namespaces without names: they vanish with the last process or descriptor, also when the tests are killed.

A socket belongs to the namespace in which it was made, so one process can play host and terminals at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from pyroute2 import IPRoute

_CLONE_NEWNET = 0x40000000
_HERE = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(code: int) -> None:
    if code:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network of its own, with lo up. Nothing in it reaches anything outside."""

    def __init__(self) -> None:
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_libc.unshare(_CLONE_NEWNET))
            self.descriptor = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
            with IPRoute() as route:
                route.link("set", index=1, state="up")
        finally:
            _checked(_libc.setns(before, _CLONE_NEWNET))
            os.close(before)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is inside; sockets and processes made now stay inside."""
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        _checked(_libc.setns(self.descriptor, _CLONE_NEWNET))
        try:
            yield
        finally:
            _checked(_libc.setns(before, _CLONE_NEWNET))
            os.close(before)

    def close(self) -> None:
        """Every process in it is killed, and it is gone."""
        me = os.fstat(self.descriptor)
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                there = (entry / "ns/net").stat() if entry.name.isdecimal() else None
                if there and (there.st_dev, there.st_ino) == (me.st_dev, me.st_ino) and entry.name != str(os.getpid()):
                    os.kill(int(entry.name), signal.SIGKILL)
        os.close(self.descriptor)


def join(outside: Namespace | None, bridge: str, name: str, *, address: str | None = None, mac: str | None = None) -> None:
    """A cable: `name` on the bridge of this namespace, `eth0` in the other one."""
    with IPRoute() as route:
        peer = {"ifname": "eth0", "net_ns_fd": outside.descriptor} if outside else {"ifname": f"{name}x"}
        route.link("add", ifname=name, kind="veth", peer=peer)
        index = route.link_lookup(ifname=name)[0]
        route.link("set", index=index, master=route.link_lookup(ifname=bridge)[0], state="up")
    if outside is None:
        return
    with outside.entered(), IPRoute() as route:
        index = route.link_lookup(ifname="eth0")[0]
        if mac:
            route.link("set", index=index, address=mac)
        route.link("set", index=index, state="up")
        if address:
            route.addr("add", index=index, address=address.split("/")[0], prefixlen=int(address.split("/")[1]))
