# SPDX-License-Identifier: MIT
"""A5-plug, A5-unplug: a guest's TAP with its packet filters, beside the `ip` commands that make a TAP without any.

Started again inside of the place's network namespace, as a program of its own: a thread cannot go there safely.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labvirt.contracts.network import GuestPort, LabNetwork
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.network.driver import LinuxNetwork
from tests.bench.ground import ground, must
from tests.bench.record import Record, record
from tests.bench.rounds import interleave

BRIDGE = "lvb001"
PLAIN_BRIDGE = "plain0"
USER = 64055
PLUG, UNPLUG = "ip tuntap add + ip link set master + up", "ip link del"


def measure(repeat: int) -> list[Record]:
    """One TAP at a time on an otherwise empty bridge."""
    with ground() as mine:
        inside = ["ip", "netns", "exec", mine.namespace, sys.executable, str(Path(__file__).resolve()), str(repeat)]
        found = json.loads(must(inside, timeout=900))
    return [
        record(
            "A5-plug",
            "a TAP on the bridge: ours isolated, bound to one MAC and address, with filters before it is up",
            "ms",
            {"ours": found["plug"]["ours"], PLUG: found["plug"]["ip"]},
            notes=("The baseline's TAP has no filter at all. Its three programs are started from Python, as a controller would.",),
        ),
        record(
            "A5-unplug",
            "the TAP (ours: and its filters) is gone",
            "ms",
            {"ours": found["unplug"]["ours"], UNPLUG: found["unplug"]["ip"]},
            notes=("Most of both is the kernel's own time for removing a device.",),
        ),
    ]


def _inside(repeat: int) -> dict[str, dict[str, list[float]]]:
    network = LinuxNetwork()
    network.ensure_lab(
        LabNetwork(
            lab="bench",
            bridge=InterfaceName(BRIDGE),
            gateway=IPv4Address("10.79.0.1"),
            network=IPv4Network("10.79.0.0/24"),
            quarantine=(IPv4Address("10.79.0.16"), IPv4Address("10.79.0.63")),
            controller_port=8080,
            display_ports=(20001, 20255),
        )
    )
    must(["ip", "link", "add", PLAIN_BRIDGE, "type", "bridge"])
    must(["ip", "link", "set", PLAIN_BRIDGE, "up"])
    port = GuestPort(
        tap=InterfaceName("lvt001001"),
        bridge=InterfaceName(BRIDGE),
        mac=MacAddress.parse("02:4c:56:00:10:01"),
        address=IPv4Address("10.79.0.129"),
        owner_uid=USER,
    )
    return interleave({"ours": lambda number: _ours(network, port), "ip": lambda number: _ip("plaintap")}, repeat)


def _ours(network: LinuxNetwork, port: GuestPort) -> Mapping[str, float]:
    began = time.perf_counter()
    network.plug(port)
    plugged = time.perf_counter()
    network.unplug(port.tap)
    return _milliseconds(began, plugged, time.perf_counter())


def _ip(tap: str) -> Mapping[str, float]:
    began = time.perf_counter()
    must(["ip", "tuntap", "add", tap, "mode", "tap", "user", str(USER)])
    must(["ip", "link", "set", tap, "master", PLAIN_BRIDGE])
    must(["ip", "link", "set", tap, "up"])
    plugged = time.perf_counter()
    must(["ip", "link", "del", tap])
    return _milliseconds(began, plugged, time.perf_counter())


def _milliseconds(began: float, plugged: float, ended: float) -> Mapping[str, float]:
    return {"plug": (plugged - began) * 1000, "unplug": (ended - plugged) * 1000}


if __name__ == "__main__":
    print(json.dumps(_inside(int(sys.argv[1]))))
