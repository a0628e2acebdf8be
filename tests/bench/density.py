# SPDX-License-Identifier: MIT
"""B3-all and B5: as many clones as the lab has seats: until every one answers, what they take of the host together, and how soon each
answers while all live.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from labvirt.errors import HostNotReady
from labvirt.system import machine
from tests.bench.clone_lab import LAB, PATIENCE_SECONDS, CloneLab, clone_lab
from tests.bench.record import Record, record
from tests.bench.rounds import say
from tests.bench.summary import percentile
from tests.bench.target import at_least, below

SETTLE_SECONDS = 10.0
PING_SECONDS = 30.0
LIVE = 200
"""What the target is about."""


def measure(live: int, storm: int, rounds: int) -> list[Record]:
    """`storm` terminals ask at once; then the rest up to `live`; then every guest is pinged, one after the other, `rounds` times."""
    with clone_lab(live) as lab:
        before = machine.read_load(lab.place.folder).memory_available_mib
        say(f"  {storm} terminals ask at once")
        answers = lab.storm(range(storm), address=False)
        last = max(answered.pong for _, answered in answers) - min(ready.asked for ready, _ in answers)
        for first in range(storm, live, storm):
            say(f"  {first} live, the next ask")
            lab.storm(range(first, min(live, first + storm)), address=False)
        _all_leased(lab, live)
        time.sleep(SETTLE_SECONDS)
        taken = (before - machine.read_load(lab.place.folder).memory_available_mib) / 1024
        pings = [[_ping(line) for line in lab.serial_lines()] for _ in range(rounds)]
        answering = sum(max(each) < 1000 for each in zip(*pings, strict=True))
        began = time.monotonic()
        lab.kill_all()
        ended = time.monotonic() - began
    notes = (
        f"MemAvailable before all, less that {SETTLE_SECONDS:g} s after the last lease. The template's memory is in it, once.",
        f"All {live} were ended after {ended:.1f} s, TAPs and folders included.",
    )
    every = [each for pinged in pings for each in pinged]
    lived = f"{live} live"
    rounds_p95 = [percentile(each, 95) for each in pings]
    return [
        record("B3-all", f"{storm} at once, until the last answers", "s", {"ours": [last]}, targets=[below(8)]),
        record("B5", f"{lived}: answer within 1 s each time", "guests", {"ours": [answering]}, targets=[at_least(LIVE)], notes=notes),
        record("B5-memory", f"{lived}: what they take of the host", "GiB", {"ours": [taken]}, targets=[below(7)]),
        record("B5-p95", f"{lived}: p95 of a ping, each round", "ms", {"ours": rounds_p95}, targets=[below(500)]),
        record("B5-ping", f"{lived}: a ping on the serial line", "ms", {"ours": every}),
    ]


def _all_leased(lab: CloneLab, live: int) -> None:
    """The DHCP server's own file has a lease for each: guests that are asked themselves would be kept from getting one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (leases := lab.controller.leases(LAB)) < live:
        if time.monotonic() > deadline:
            raise HostNotReady(f"{leases} of {live} clones have an address.", hint="labvirt guest list")
        time.sleep(1)


def _ping(line: Path) -> float:
    """Milliseconds until the guest has answered. Raises HostNotReady."""
    began = time.monotonic()
    heard = b""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(PING_SECONDS)
        talk.connect(str(line))
        talk.sendall(b"ping\n")
        while b"pong" not in heard:
            try:
                piece = talk.recv(4096)
            except TimeoutError:
                piece = b""
            if not piece:
                raise HostNotReady(f"{line.parent.name} does not answer.", hint="labvirt guest list")
            heard += piece
    return (time.monotonic() - began) * 1000
