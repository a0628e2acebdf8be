# SPDX-License-Identifier: MIT
"""A3: a whole lab is switched on at once; beside the same number of overlays and `virsh create`, as many at a time as LabVirt starts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from labvirt.demo.place import Place
from labvirt.domain.guest import GuestState
from labvirt.system import machine
from tests.bench.controller import LAB, MEMORY_MIB, BenchController, Controller, running, terminal_mac
from tests.bench.ground import ground, tiny_image
from tests.bench.guest_memory import anonymous_mib
from tests.bench.plain_libvirt import PlainLibvirt
from tests.bench.question import ask_until_ready
from tests.bench.record import Record, record
from tests.bench.rounds import say
from tests.bench.serial_line import listen
from tests.bench.summary import percentile

PATIENCE_SECONDS = 900.0
LOOK_SECONDS = 0.05

BASELINE = "qemu-img overlay + virsh create"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Seconds since all asked, one value a seat; MiB a guest."""

    running: list[float]
    answers: list[float]
    address: list[float]
    anonymous_mib: list[float]
    available_mib: float
    """By how much MemAvailable fell, divided by the guests."""


def measure(crowd: int, repeat: int) -> list[Record]:
    """Ours, then the baseline, each on empty ground; as often as told."""
    ours, virsh, notes = [], [], []
    for _ in range(repeat):
        labvirt, at_once, note = _whole_lab(crowd)
        ours.append(labvirt)
        notes.append(note)
        virsh.append(_by_hand(crowd, at_once))
    return _records(crowd, ours, virsh, notes)


def _whole_lab(crowd: int) -> tuple[Outcome, int, str]:
    """What happened, how many starts the engine lets go on at once, and a sentence about it."""
    with ground() as mine:
        image = tiny_image(mine)
        ours = BenchController(mine, "qemu")
        ours.set_up(crowd, image)
        with running(ours) as controller:
            at_once = controller.starts_at_once()
            say(f"  LabVirt: {crowd} terminals ask at once")
            unanswered: list[str] = []
            with _most_starting(controller) as most:
                outcome = _outcome(mine, crowd, lambda seat: _ours(controller, seat, unanswered))
            leases = controller.leases(LAB)
    note = f"The engine's bound here: {at_once} starts at once; most seen starting together: {most[0]}. Leases afterwards: {leases}."
    if unanswered:
        note += f" Questions without an answer: {len(unanswered)} ({'; '.join(sorted(set(unanswered)))[:200]})."
    return outcome, at_once, note


def _by_hand(crowd: int, at_once: int) -> Outcome:
    with ground() as mine:
        plain = PlainLibvirt(mine, tiny_image(mine), MEMORY_MIB)
        plain.start()
        say(f"  virsh: {crowd} guests, {at_once} at a time")
        turn = threading.BoundedSemaphore(at_once)
        return _outcome(mine, crowd, lambda seat: _plain(plain, turn, seat))


def _records(crowd: int, ours: list[Outcome], virsh: list[Outcome], notes: list[str]) -> list[Record]:
    told = [
        *notes,
        *(f"First, median and last of {crowd}, LabVirt: {_spread(each)}." for each in ours),
        *(f"First, median and last of {crowd}, virsh: {_spread(each)}." for each in virsh),
    ]

    def one(id: str, what: str, unit: str, name: str, notes: Sequence[str] = ()) -> Record:
        values = {flow: [value for each in found for value in getattr(each, name)] for flow, found in (("ours", ours), (BASELINE, virsh))}
        return record(id, f"{crowd} at once: {what}", unit, values, notes=notes)

    return [
        one("A3", "question to guest running", "s", "running", told),
        one("A3-answers", "question to guest answering", "s", "answers"),
        one("A3-dhcp", "question to address by DHCP", "s", "address"),
        one("A3-memory", "anonymous memory of a guest's QEMU", "MiB", "anonymous_mib"),
    ]


def _spread(outcome: Outcome) -> str:
    named = (("running", outcome.running), ("answering", outcome.answers), ("with its address", outcome.address))
    spreads = ", ".join(f"{name} {min(each):.1f} / {percentile(each, 50):.1f} / {max(each):.1f} s" for name, each in named)
    return f"{spreads}; MemAvailable fell by {outcome.available_mib:.0f} MiB a guest, page cache included"


def _outcome(mine: Place, crowd: int, one: Callable[[int], tuple[float, float, float, float]]) -> Outcome:
    before = machine.read_load(mine.folder).memory_available_mib
    with ThreadPoolExecutor(crowd) as pool:
        found = list(pool.map(one, range(1, crowd + 1)))
    after = machine.read_load(mine.folder).memory_available_mib
    began = min(asked for asked, _, _, _ in found)
    return Outcome(
        running=[ran - began for _, ran, _, _ in found],
        answers=[pong - began for _, _, pong, _ in found],
        address=[leased - began for _, _, _, leased in found],
        anonymous_mib=anonymous_mib(mine),
        available_mib=(before - after) / crowd,
    )


def _ours(controller: Controller, seat: int, unanswered: list[str]) -> tuple[float, float, float, float]:
    ready = ask_until_ready(controller.door, terminal_mac(seat), timeout=PATIENCE_SECONDS)
    unanswered += ready.unanswered
    answered = listen(controller.serial_line(ready.guest), timeout=PATIENCE_SECONDS)
    return ready.asked, ready.ready, answered.pong, answered.address


def _plain(plain: PlainLibvirt, turn: threading.BoundedSemaphore, seat: int) -> tuple[float, float, float, float]:
    began = time.monotonic()
    with turn:
        serial = plain.create(f"crowd-{seat}", plain.overlay(f"crowd-{seat}"))
        created = time.monotonic()
    answered = listen(serial, timeout=PATIENCE_SECONDS)
    return began, created, answered.pong, answered.address


@contextmanager
def _most_starting(controller: Controller) -> Iterator[list[int]]:
    """The largest number of guests seen in state starting, in the one element of the list, when the block has ended."""
    most, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(LOOK_SECONDS):
            most[0] = max(most[0], sum(guest.state is GuestState.STARTING for guest in controller.guests()))

    thread = threading.Thread(target=look, name="most-starting", daemon=True)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()
