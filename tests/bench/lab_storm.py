# SPDX-License-Identifier: MIT
"""B3, B4 and B6: a whole lab at once. Until every guest answers; what each costs in memory then; and until every one answers again from a
clean disk. Beside QEMU and `virsh create` by hand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from labvirt.system import machine
from labvirt.usecases import bulk
from labvirt.usecases.bulk import SeatAct
from tests.bench.clone_lab import LAB, PATIENCE_SECONDS, CloneLab, clone_lab
from tests.bench.controller import MEMORY_MIB
from tests.bench.guest_memory import Private, private_mib
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.serial_line import listen
from tests.bench.target import at_most, times_better
from tests.bench.turns import all_at_once, some_at_once

OURS = "instant clones"
RAW = "qemu-img overlay + QEMU by hand"
VIRSH = "qemu-img overlay + virsh create"
RESET = "virsh destroy, new overlay, virsh create"
NOTES = (
    "Ours: as many questions over HTTP at the same moment. By hand: as many starts at a time as there are processors.",
    "Until the last guest has answered `ping` on its serial line; one value a round.",
    "One clone was made before: it reads the template (B1-first).",
)
RESET_NOTES = (
    "Ours: 'fresh' for the whole lab, as its page does it: the old run is ended, its overlay kept aside (rescue), a new one made.",
)


def measure(seats: int, repeat: int, settle: float) -> list[Record]:
    """Each flow starts with no guest at all; they take turns."""
    memory_notes = (
        f"Private anonymous memory (smaps), {settle:g} s after all have answered; one value a guest.",
        "What clones share, the template's memory, is in the host once, and not in these numbers.",
    )
    memory: dict[str, list[Private]] = {OURS: [], RAW: [], VIRSH: []}
    with clone_lab(seats) as lab:
        lab.ask(0)  # the first clone reads its template (B1-first)
        lab.kill_all()
        at_once = machine.read_load(lab.place.folder).cpus
        flows: dict[str, Once] = {
            OURS: lambda number: _ours(lab, seats, settle, memory[OURS]),
            RAW: lambda number: _raw(lab, seats, at_once, settle, memory[RAW]),
            VIRSH: lambda number: _virsh(lab, seats, at_once, settle, memory[VIRSH]),
        }
        found = interleave(flows, repeat, warm_up=0)
    whole = {name: [each.whole for each in values] for name, values in memory.items()}
    guest = {name: [each.guest for each in values] for name, values in memory.items()}
    qemu = {name: [each.qemu for each in values] for name, values in memory.items()}
    again = {OURS: found["again"][OURS], RESET: found["again"][VIRSH]}
    better = [times_better(20, RAW), times_better(30, VIRSH)]
    small = [at_most(30), times_better(6.5, RAW)]
    sooner = [times_better(25, RESET)]
    what = f"{seats} reset to clean, until the last answers"
    return [
        record("B3", f"{seats} at once, until the last answers", "s", found["last"], ours=OURS, notes=NOTES, targets=better),
        record("B4", "private memory of a guest", "MiB", whole, ours=OURS, notes=memory_notes, targets=small),
        record("B4-guest", "of which: what the guest has written itself", "MiB", guest, ours=OURS),
        record("B4-qemu", "of which: the rest of its QEMU", "MiB", qemu, ours=OURS),
        record("B6", what, "s", again, ours=OURS, notes=RESET_NOTES, targets=sooner),
    ]


def _ours(lab: CloneLab, seats: int, settle: float, memory: list[Private]) -> Mapping[str, float]:
    answers = lab.storm(range(seats))
    last = max(answered.pong for _, answered in answers) - min(ready.asked for ready, _ in answers)
    time.sleep(settle)
    memory += private_mib(lab.place, MEMORY_MIB)
    began = time.monotonic()
    told = bulk.do(lab.controller.ports, LAB, SeatAct.FRESH, range(1, seats + 1), by="bench")
    assert all(each.will for each in told), told
    again = _last_again(lab) - began
    for guest in lab.guests():
        lab.check_origin(guest.name, clone=True)
    lab.kill_all()
    return {"last": last, "again": again}


def _raw(lab: CloneLab, seats: int, at_once: int, settle: float, memory: list[Private]) -> Mapping[str, float]:
    began = time.monotonic()
    last = _last_of(lambda seat: lab.raw.create(f"raw-{seat}", seat), seats, at_once) - began
    time.sleep(settle)
    memory += private_mib(lab.place, MEMORY_MIB)
    for seat in range(seats):
        lab.raw.destroy(f"raw-{seat}")
    return {"last": last}


def _virsh(lab: CloneLab, seats: int, at_once: int, settle: float, memory: list[Private]) -> Mapping[str, float]:
    plain = lab.plain

    def create(seat: int) -> Path:
        return plain.create(f"virsh-{seat}", plain.overlay(f"virsh-{seat}"))

    def afresh(seat: int) -> Path:
        plain.destroy(f"virsh-{seat}")
        return create(seat)

    began = time.monotonic()
    last = _last_of(create, seats, at_once) - began
    time.sleep(settle)
    memory += private_mib(lab.place, MEMORY_MIB)
    began = time.monotonic()
    again = _last_of(afresh, seats, at_once) - began
    some_at_once([partial(plain.destroy, f"virsh-{seat}") for seat in range(seats)], at_once)
    return {"last": last, "again": again}


def _last_of(make: Callable[[int], Path], seats: int, at_once: int) -> float:
    """When the last guest answered, on the clock time.monotonic(). So many are made at a time."""
    turn = threading.BoundedSemaphore(at_once)

    def one(seat: int) -> float:
        with turn:
            line = make(seat)
        return listen(line, timeout=PATIENCE_SECONDS).pong

    return max(all_at_once([partial(one, seat) for seat in range(seats)]))


def _last_again(lab: CloneLab) -> float:
    """When the last of the lab's new clones answered."""
    lines = lab.serial_lines()
    return max(each.pong for each in all_at_once([partial(listen, line, timeout=PATIENCE_SECONDS, booted=True) for line in lines]))
