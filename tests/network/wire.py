# SPDX-License-Identifier: MIT
"""A bridge with two guests' TAPs and two terminals, whose frames are written and read by the test: with LabVirt's filters,
or plain, for the positive control.
"""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from pyroute2 import IPRoute

from labvirt.contracts.network import GuestPort, LabNetwork
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.network.driver import LinuxNetwork
from labvirt.system.tap import open_tap
from tests.network import frames
from tests.network.namespace import Namespace

_NO_OFFLOAD = bytes(10)
"""struct virtio_net_hdr, linux/virtio_net.h: the TAP is opened with it, as QEMU does."""
SECONDS = 10.0


def lab_a(block: int = 0) -> LabNetwork:
    base = IPv4Address("10.77.0.0") + block * 256
    return LabNetwork(
        lab="lab-a" if not block else f"lab-{block}",
        bridge=InterfaceName(f"lvb{block:03x}"),
        gateway=base + 1,
        network=IPv4Network((base, 24)),
        quarantine=(base + 16, base + 63),
        controller_port=8080,
        display_ports=(20000, 24095),
    )


def guest_port(seat: int, block: int = 0) -> GuestPort:
    return GuestPort(
        tap=InterfaceName(f"lvt{block:03x}{seat:03x}"),
        bridge=InterfaceName(f"lvb{block:03x}"),
        mac=MacAddress(0x024C56 << 24 | block << 12 | seat),
        address=IPv4Address("10.77.0.128") + block * 256 + seat,
        owner_uid=65534,
    )


class Card:
    """One end of a wire in the test's hands."""

    def __init__(self, name: str, mac: str, address: IPv4Address) -> None:
        self.name, self.mac, self.address = name, mac, address
        self._descriptor = open_tap(name)
        # The bridge forwards a moment after the cable is plugged in (its carrier is noticed by a kernel worker).
        deadline = time.monotonic() + SECONDS
        with IPRoute() as route:
            index = socket.if_nametoindex(name)
            while _port_state(route, index) != _FORWARDING:
                assert time.monotonic() < deadline, f"{name} does not come up"
                time.sleep(0.002)

    def send(self, *some: bytes) -> None:
        for frame in some:
            os.write(self._descriptor, _NO_OFFLOAD + frame)

    def read(self) -> bytes | None:
        """The next frame, None when there is none now."""
        try:
            return os.read(self._descriptor, 65536)[len(_NO_OFFLOAD) :]
        except BlockingIOError:
            return None

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)


_FORWARDING = 3
"""BR_STATE_FORWARDING, linux/if_bridge.h."""


def _port_state(route: IPRoute, index: int) -> int:
    data = route.get_links(index)[0].get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_SLAVE_DATA")
    return int(data.get_attr("IFLA_BRPORT_STATE"))


class HostSide:
    """What the host hears on its bridge, after all filters of the bridge."""

    def __init__(self, bridge: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self._socket.bind((bridge, 0))
        self._socket.setblocking(False)

    def read(self) -> bytes | None:
        try:
            return self._socket.recv(65536)
        except BlockingIOError:
            return None

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


@dataclass
class Wire:
    """`attacker` and `victim` are guests, `terminal` and `helper` terminals, `host` the gateway's ear."""

    namespace: Namespace
    network: LinuxNetwork | None
    gateway: IPv4Address
    gateway_mac: str
    attacker: Card
    victim: Card
    terminal: Card
    helper: Card
    host: HostSide
    _count: int = field(default=0)

    def heard(self, *by: Card | HostSide) -> list[bytes]:
        """All frames they got until now: read up to a mark that a terminal sends to everybody after them."""
        self._count += 1
        mark = frames.ethernet(frames.BROADCAST, self.helper.mac, 0x88B5, b"mark %d" % self._count).ljust(60, b"\0")
        self.helper.send(mark)
        found: list[bytes] = []
        for one in by:
            deadline = time.monotonic() + SECONDS
            while (frame := one.read()) != mark:
                if frame is not None:
                    found.append(frame)
                elif not select.select([one], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise AssertionError("the mark did not arrive: the wire is broken, nothing can be said")
        return found

    def close(self) -> None:
        for one in (self.attacker, self.victim, self.terminal, self.helper, self.host):
            one.close()
        self.namespace.close()


def make(*, filtered: bool) -> Wire:
    """Inside of the returned namespace all is ready and up."""
    namespace = Namespace()
    with namespace.entered():
        lab, first, second = lab_a(), guest_port(1), guest_port(2)
        network = None
        if filtered:
            network = LinuxNetwork()
            network.ensure_lab(lab)
            network.plug(first)
            network.plug(second)
        else:
            with IPRoute() as route:
                route.link("add", ifname="lvb000", kind="bridge", br_forward_delay=0, br_stp_state=0, br_mcast_snooping=0)
                index = route.link_lookup(ifname="lvb000")[0]
                route.addr("add", index=index, address="10.77.0.1", prefixlen=24)
                route.link("set", index=index, state="up")
            for name in (str(first.tap), str(second.tap)):
                plain_port(name, "lvb000")
        for name in ("term1", "term2"):
            plain_port(name, "lvb000")
        with IPRoute() as route:
            gateway_mac = route.get_links(ifname="lvb000")[0].get_attr("IFLA_ADDRESS")
        return Wire(
            namespace=namespace,
            network=network,
            gateway=lab.gateway,
            gateway_mac=gateway_mac,
            attacker=Card(str(first.tap), str(first.mac), first.address),
            victim=Card(str(second.tap), str(second.mac), second.address),
            terminal=Card("term1", "06:00:00:00:00:01", IPv4Address("10.77.0.65")),
            helper=Card("term2", "06:00:00:00:00:02", IPv4Address("10.77.0.66")),
            host=HostSide("lvb000"),
        )


def plain_port(name: str, bridge: str) -> None:
    """A TAP like a cable: no rules, no isolation."""
    with IPRoute() as route:
        route.link("add", ifname=name, kind="tuntap", mode="tap")
        index = route.link_lookup(ifname=name)[0]
        route.link("set", index=index, master=route.link_lookup(ifname=bridge)[0], state="up")
