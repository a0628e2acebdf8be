# SPDX-License-Identifier: MIT
"""B1 and B2: a terminal's question until an instant clone runs and answers; beside the floor, a seat of the same controller that boots,
QEMU by hand, and `virsh create` by hand. B2-dhcp: until it has its address.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from tests.bench.clone_lab import CloneLab, clone_lab
from tests.bench.cold_start import PATIENCE_SECONDS, milliseconds, plain_guest
from tests.bench.plain_qemu import greeting_ms
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.serial_line import listen
from tests.bench.target import at_most_times, times_better

OURS = "instant clone"
BOOTS = "LabVirt without clones"
FLOOR = "exec of QEMU to its greeting"
RAW = "qemu-img overlay + QEMU by hand"
VIRSH = "qemu-img overlay + virsh create"
COPY = "full copy + virsh create"
NOTES = (
    "All of LabVirt's way is in both of its rows: HTTP question, database, engine, overlay, TLS certificate, TAP, packet filters, sandbox.",
    "The floor is a QEMU without guest, disk, network or display, from exec to its greeting on a socket that was handed to it.",
    "QEMU by hand runs when it has greeted; virsh's guest when virsh create returns. No filters, certificate or database there.",
    "The clone's profile is a copy of the other one; its template was made, and cloned once, before the first round.",
    "A clone has its card plugged in before it runs on, and asks DHCP then: address beside answering shows what that takes.",
)


def measure(repeat: int, *, warm_up: int, copies: bool) -> list[Record]:
    """One guest at a time; every flow starts with nothing of it running."""
    seats = repeat + warm_up + 1
    with clone_lab(seats, boots=seats) as lab:
        first = _asked(lab, seats - 1, clone=True)
        flows: dict[str, Once] = {
            OURS: lambda number: _asked(lab, number, clone=True),
            FLOOR: lambda number: {"running": greeting_ms()},
            RAW: lambda number: _by_hand(lab, number),
            VIRSH: lambda number: plain_guest(lab.plain, lab.plain.overlay, f"overlay-{number}"),
        }
        if copies:
            flows[BOOTS] = lambda number: _asked(lab, seats + number, clone=False)
            flows[COPY] = lambda number: plain_guest(lab.plain, lab.plain.copy, f"copy-{number}")
        found = interleave(flows, repeat, warm_up=warm_up)
    better = [times_better(20, VIRSH), *([times_better(25, COPY)] if copies else [])]
    return [
        record("B1", "question to guest running", "ms", found["running"], ours=OURS, notes=NOTES, targets=[at_most_times(2, FLOOR)]),
        record("B1-first", "the same, first clone of a template: its memory is read and sealed", "ms", {"ours": [first["running"]]}),
        record("B2", "question to guest answering on its serial line", "ms", found["answers"], ours=OURS, targets=better),
        record("B2-dhcp", "question to guest having its address by DHCP", "ms", found["address"], ours=OURS),
    ]


def _asked(lab: CloneLab, seat: int, *, clone: bool) -> Mapping[str, float]:
    """A seat that never had a guest."""
    ready, answered = lab.ask(seat, clone=clone)
    lab.controller.kill(ready.guest)
    return milliseconds(ready.asked, running=ready.ready, answers=answered.pong, address=answered.address)


def _by_hand(lab: CloneLab, number: int) -> Mapping[str, float]:
    name = f"raw-{number}"
    began = time.monotonic()
    serial = lab.raw.create(name, number)
    created = time.monotonic()
    answered = listen(serial, timeout=PATIENCE_SECONDS)
    lab.raw.destroy(name)
    return milliseconds(began, running=created, answers=answered.pong, address=answered.address)
