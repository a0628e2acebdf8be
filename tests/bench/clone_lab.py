# SPDX-License-Identifier: MIT
"""A lab whose seats get instant clones, with a whole LabVirt, and beside it the plain ways to the same guests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labvirt.demo.place import Place
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow
from labvirt.domain.job import JobKind
from labvirt.errors import HostNotReady
from labvirt.usecases import jobs, power, profiles, templates, terminals
from labvirt.usecases.ports import Ports
from tests.bench.controller import MEMORY_MIB, BenchController, Controller, running
from tests.bench.ground import ground, tiny_image
from tests.bench.plain_libvirt import PlainLibvirt
from tests.bench.plain_qemu import PlainQemu
from tests.bench.question import Ready, ask_until_ready
from tests.bench.serial_line import Answered, listen
from tests.bench.turns import all_at_once

LAB = "big-1"
CLONES = "clones"
TEMPLATE_SECONDS = 300.0
PATIENCE_SECONDS = 900.0
STOP_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneLab:
    """`macs`: the terminals by seat, first those with clones, then those whose guests boot."""

    place: Place
    controller: Controller
    plain: PlainLibvirt
    raw: PlainQemu
    macs: tuple[str, ...]

    def ask(self, seat: int, *, clone: bool = True, address: bool = True) -> tuple[Ready, Answered]:
        """The seat's terminal (from 0) has asked, and its guest has answered, and has its `address`. Raises HostNotReady when it did not
        begin as it should."""
        ready = ask_until_ready(self.controller.door, self.macs[seat], timeout=PATIENCE_SECONDS)
        answered = listen(self.controller.serial_line(ready.guest), timeout=PATIENCE_SECONDS, booted=clone, address=address)
        self.check_origin(ready.guest, clone=clone)
        return ready, answered

    def storm(self, seats: Sequence[int], *, address: bool = True) -> list[tuple[Ready, Answered]]:
        """These seats' terminals ask at once, and their guests (clones) have answered."""
        return all_at_once([partial(self.ask, seat, address=address) for seat in seats])

    def check_origin(self, guest: str, *, clone: bool) -> None:
        origin = power.one(self.controller.ports, guest).origin
        if "clone of" in origin.partition(":")[0] and clone:
            return
        if clone or not origin.startswith("boot"):
            raise HostNotReady(f"{guest} began otherwise than it should: {origin}", hint="labvirt template list")

    def guests(self) -> list[Guest]:
        """Of the lab's seats: the one that became the template is not among them."""
        return [each for each in self.controller.guests() if each.purpose is Purpose.SEAT]

    def serial_lines(self) -> list[Path]:
        """Of each guest of a seat."""
        runs = self.controller.state / "runs"
        return [runs / f"{each.name}.g{each.generation}" / "serial.sock" for each in self.guests()]

    def kill_all(self) -> None:
        """No guest of the lab lives. Raises HostNotReady."""
        power.stop_lab(self.controller.ports, LAB, StopHow.KILL)
        deadline = time.monotonic() + STOP_SECONDS
        while left := [each for each in self.guests() if each.state is not GuestState.STOPPED]:
            if time.monotonic() > deadline:
                raise HostNotReady(f"{left[0].name} is not stopped but {left[0].state}: {left[0].reason}", hint="labvirt guest show")
            time.sleep(0.1)


@contextmanager
def clone_lab(clones: int, *, boots: int = 0) -> Iterator[CloneLab]:
    """It stands, with the template of its clones; the private libvirtd too. No guest runs. Raises HostNotReady."""
    with ground() as mine:
        image = tiny_image(mine)
        plain = PlainLibvirt(mine, image, MEMORY_MIB)
        plain.start()
        raw = PlainQemu(mine, image, MEMORY_MIB)
        raw.start()
        ours = BenchController(mine, "qemu")
        macs = ours.set_up_many(clones + boots, image)
        with running(ours) as controller:
            _opt_in(controller.ports, clones)
            yield CloneLab(place=mine, controller=controller, plain=plain, raw=raw, macs=macs)


def _opt_in(ports: Ports, seats: int) -> None:
    """The first `seats` terminals get clones, and their template is there. Raises HostNotReady."""
    profiles.clone(ports, "tiny", CLONES)
    profiles.change(ports, CLONES, instant_clone=True, active=True, position=200)
    for each in terminals.everything(ports, LAB):
        if each.seat <= seats:
            terminals.change(ports, each.name, profile=CLONES)
    deadline = time.monotonic() + TEMPLATE_SECONDS
    templates.build(ports, CLONES, by="bench")
    while not (report := templates.of_profile(ports, CLONES)).kept:
        if time.monotonic() > deadline:
            told = [job.error for job in jobs.everything(ports) if job.kind is JobKind.TEMPLATE]
            raise HostNotReady(f"There is no template after {TEMPLATE_SECONDS:g} s: {report.problem} {told}", hint="labvirt template list")
        time.sleep(0.2)
