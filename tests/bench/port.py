# SPDX-License-Identifier: MIT
"""B8: a guest's TAP with its packet filters is made, handed over again and removed, while many others stand; beside the `ip` commands that
make a TAP without any.

Started again inside of the place's network namespace, as a program of its own: a thread cannot go there safely.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labvirt.contracts.network import GuestPort, LabNetwork
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.network.driver import LinuxNetwork
from tests.bench.ground import ground, must
from tests.bench.record import Record, record
from tests.bench.rounds import interleave
from tests.bench.target import at_most_times

PLAIN_BRIDGE = "plain0"
USER = 64055
SEATS = 250
"""Of one lab and its bridge."""
PLUG, UNPLUG = "ip tuntap add + ip link set master + up", "ip link del"
DEEDS = {
    "plug": "a TAP is made: isolated, bound to one MAC and address, with filters before it is up",
    "again": "a TAP that stands is handed over again: everything of it is compared, nothing is made",
    "unplug": "the TAP and its filters are gone",
}
NOTES = (
    f"So many others stand meanwhile, {SEATS} on each lab's bridge. Measured while their number grows, and once more while it shrinks.",
    "The baseline's TAP has no filter at all. Its programs are started from Python, as a controller would.",
)

Found = dict[str, dict[str, list[float]]]
"""Deed -> who or among how many -> milliseconds."""


def measure(counts: Sequence[int], repeat: int) -> list[Record]:
    """One TAP at a time, among as many as `counts` say."""
    with ground() as mine:
        argv = ["ip", "netns", "exec", mine.namespace, sys.executable, str(Path(__file__).resolve()), str(repeat), *map(str, counts)]
        found: Found = json.loads(must(argv, timeout=1800))
    few, many = f"among {counts[0]}", f"among {counts[-1]}"
    targets = {"plug": (), "again": (at_most_times(1.2, few),), "unplug": ()}
    ids = {"plug": "B8-plug", "again": "B8", "unplug": "B8-unplug"}
    return [
        record(ids[deed], DEEDS[deed], "ms", found[deed], ours=many, targets=targets[deed], notes=notes)
        for deed, notes in (("again", NOTES), ("plug", ()), ("unplug", ()))
    ]


def _inside(repeat: int, counts: Sequence[int]) -> Found:
    network = LinuxNetwork()
    for lab in range(counts[-1] // SEATS + 1):
        network.ensure_lab(_lab(lab))
    must(["ip", "link", "add", PLAIN_BRIDGE, "type", "bridge"])
    must(["ip", "link", "set", PLAIN_BRIDGE, "up"])
    found: Found = {deed: {f"among {count}": [] for count in counts} for deed in DEEDS}
    stand = 0
    for count in (*counts, *reversed(counts[:-1])):
        for number in range(stand, count):
            network.plug(_port(number))
        for number in range(count, stand):
            network.unplug(_port(number).tap)
        stand = count
        mine = _port(count)
        for _ in range(repeat):
            for deed, took in _once(network, mine).items():
                found[deed][f"among {count}"].append(took)
    for deed, by_flow in interleave({"ip": lambda number: _ip("plaintap")}, repeat).items():
        found[deed][UNPLUG if deed == "unplug" else PLUG] = by_flow["ip"]
    return found


def _once(network: LinuxNetwork, port: GuestPort) -> dict[str, float]:
    began = time.perf_counter()
    network.plug(port)
    plugged = time.perf_counter()
    network.plug(port)
    again = time.perf_counter()
    network.unplug(port.tap)
    ended = time.perf_counter()
    return {"plug": (plugged - began) * 1000, "again": (again - plugged) * 1000, "unplug": (ended - again) * 1000}


def _ip(tap: str) -> dict[str, float]:
    began = time.perf_counter()
    must(["ip", "tuntap", "add", tap, "mode", "tap", "user", str(USER)])
    must(["ip", "link", "set", tap, "master", PLAIN_BRIDGE])
    must(["ip", "link", "set", tap, "up"])
    plugged = time.perf_counter()
    must(["ip", "link", "del", tap])
    ended = time.perf_counter()
    took = (plugged - began) * 1000
    return {"plug": took, "again": took, "unplug": (ended - plugged) * 1000}


def _lab(number: int) -> LabNetwork:
    return LabNetwork(
        lab=f"bench-{number}",
        bridge=InterfaceName(f"lvb{number + 1:03}"),
        gateway=IPv4Address(f"10.{100 + number}.0.1"),
        network=IPv4Network(f"10.{100 + number}.0.0/22"),
        quarantine=(IPv4Address(f"10.{100 + number}.3.1"), IPv4Address(f"10.{100 + number}.3.200")),
        controller_port=8080,
        display_ports=(20001 + 256 * number, 20255 + 256 * number),
    )


def _port(number: int) -> GuestPort:
    lab, seat = divmod(number, SEATS)
    return GuestPort(
        tap=InterfaceName(f"lvt{lab + 1:03}{seat + 1:03}"),
        bridge=InterfaceName(f"lvb{lab + 1:03}"),
        mac=MacAddress(0x024C56000000 + (lab << 12) + seat),
        address=IPv4Address(f"10.{100 + lab}.1.0") + seat,
        owner_uid=USER,
    )


if __name__ == "__main__":
    print(json.dumps(_inside(int(sys.argv[1]), [int(each) for each in sys.argv[2:]])))
