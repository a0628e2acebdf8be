# SPDX-License-Identifier: MIT
"""B12: a terminal's question whose seat has its next run waiting: as a process, as a loaded clone that stands still, as a running guest.
Beside a clone that is made when it is asked for. And how soon what waits is there again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from labvirt.contracts.engine import PoolStatus
from labvirt.domain.pool import SpareKind
from labvirt.errors import HostNotReady
from labvirt.usecases import pools, power
from tests.bench.clone_lab import CLONES, LAB, PATIENCE_SECONDS, CloneLab, clone_lab
from tests.bench.cold_start import milliseconds
from tests.bench.question import ask_until_ready
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.serial_line import listen
from tests.bench.target import at_most, below

COLD = "clone, nothing waits"
NAMES = {
    SpareKind.PRESPAWNED: "its process waits",
    SpareKind.PAUSED: "it stands still, loaded",
    SpareKind.READY: "it runs already",
}
OURS = NAMES[SpareKind.PAUSED]
WAITING_SECONDS = 300.0
NOTES = (
    "Every seat of a lab of two has its next run waiting. Through HTTP and the engine, as each terminal asks.",
    "What waits for a seat is its own next run; before each question both are made anew.",
)


def measure(repeat: int, *, warm_up: int) -> list[Record]:
    """One question at a time; what waits is complete before each."""
    refilled: dict[SpareKind, list[float]] = {kind: [] for kind in SpareKind}
    with clone_lab(2) as lab:
        flows: dict[str, Once] = {NAMES[kind]: _flow(lab, kind, refilled[kind]) for kind in NAMES}
        flows[COLD] = _flow(lab, None, [])
        found = interleave(flows, repeat, warm_up=warm_up)
    per_second = {NAMES[kind]: refilled[kind] for kind in (SpareKind.PAUSED, SpareKind.PRESPAWNED)}
    return [
        record("B12", "question to guest running", "ms", found["running"], ours=OURS, targets=[below(5)], notes=NOTES),
        record("B12-answers", "question to guest answering on its serial line", "ms", found["answers"], ours=OURS),
        record("B12-refill", "until a seat's next run waits, each of two", "s", per_second, ours=OURS, targets=[at_most(0.1)]),
    ]


def _flow(lab: CloneLab, kind: SpareKind | None, refilled: list[float]) -> Once:
    return lambda number: _once(lab, kind, number % 2, refilled)


def _once(lab: CloneLab, kind: SpareKind | None, seat: int, refilled: list[float]) -> Mapping[str, float]:
    """What waits is as told, then the seat asks."""
    ports = lab.controller.ports
    pools.put(ports, LAB, CLONES)
    wait_until(lab, None)
    if kind is not None:
        began = time.monotonic()
        pools.put(ports, LAB, CLONES, **{kind.value: 2})
        wait_until(lab, kind)
        refilled.append((time.monotonic() - began) / 2)
    ready = ask_until_ready(lab.controller.door, lab.macs[seat], timeout=PATIENCE_SECONDS)
    answered = listen(lab.controller.serial_line(ready.guest), timeout=PATIENCE_SECONDS, booted=True)
    origin = power.one(ports, ready.guest).origin
    if kind is not SpareKind.READY and not origin.startswith(f"{kind.value} clone of" if kind else "clone of"):  # READY was seen to run
        raise HostNotReady(f"{ready.guest} began otherwise than it should ({kind}): {origin}", hint="labvirt template list")
    pools.put(ports, LAB, CLONES)
    lab.kill_all()
    return milliseconds(ready.asked, running=ready.ready, answers=answered.pong)


def wait_until(lab: CloneLab, kind: SpareKind | None) -> None:
    """Two wait of this kind; without one: nothing waits. Raises HostNotReady."""
    deadline = time.monotonic() + WAITING_SECONDS
    while True:
        told = pools.report(lab.controller.ports, LAB)
        counts = [_waiting(each, kind) for each in told]
        if (kind is None and not sum(counts)) or (kind is not None and sum(counts) == 2):
            return
        if time.monotonic() > deadline:
            raise HostNotReady(f"What is to wait does not: {told}", hint="labvirt pool list")
        time.sleep(0.02)


def _waiting(told: PoolStatus, kind: SpareKind | None) -> int:
    return sum(count for each, count in told.waiting if kind in (None, each))
