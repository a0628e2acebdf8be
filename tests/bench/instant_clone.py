# SPDX-License-Identifier: MIT
"""I1 and I2: a terminal's question until an instant clone runs and answers, beside a seat of the same controller that boots, and beside
`virsh create` by hand; I3: from there to its address.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from labvirt.domain.job import JobKind
from labvirt.errors import HostNotReady
from labvirt.usecases import jobs, profiles, templates, terminals
from labvirt.usecases.ports import Ports
from tests.bench.cold_start import PATIENCE_SECONDS, WARM_UP, milliseconds, plain_guest
from tests.bench.controller import LAB, MEMORY_MIB, BenchController, Controller, running, terminal_mac
from tests.bench.ground import ground, tiny_image
from tests.bench.plain_libvirt import PlainLibvirt
from tests.bench.question import ask_until_ready
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.serial_line import listen

OURS = "instant clone"
CLONES = "clones"
TEMPLATE_SECONDS = 300.0
NOTES = (
    "All of LabVirt's way in both of its rows: HTTP question, database, engine, overlay, TLS certificate, TAP, packet filters, sandbox.",
    "The clone's profile is a copy of the other one; its template was made before the first round.",
    "A clone has its card plugged in after it runs, and asks DHCP then: address beside answering shows what that takes.",
)


def measure(repeat: int) -> list[Record]:
    """One guest at a time; every flow starts with nothing of it running."""
    with ground() as mine:
        image = tiny_image(mine)
        plain = PlainLibvirt(mine, image, MEMORY_MIB)
        plain.start()
        ours = BenchController(mine, "qemu")
        seats = repeat + WARM_UP
        ours.set_up(2 * seats, image)
        with running(ours) as controller:
            _opt_in(controller.ports, seats)
            flows: dict[str, Once] = {
                OURS: lambda number: _asked(controller, number + 1, booted=True),
                "boots from its disk": lambda number: _asked(controller, seats + number + 1, booted=False),
                "qemu-img overlay + virsh create": lambda number: plain_guest(plain, plain.overlay, f"overlay-{number}"),
            }
            found = interleave(flows, repeat, warm_up=WARM_UP)
    return [
        record("I1", "question to guest running", "ms", found["running"], ours=OURS, notes=NOTES),
        record("I2", "question to guest answering on its serial line", "ms", found["answers"], ours=OURS),
        record("I3", "question to guest having its address by DHCP", "ms", found["address"], ours=OURS),
    ]


def _opt_in(ports: Ports, seats: int) -> None:
    """The first `seats` terminals get clones, and their template is there. Raises HostNotReady."""
    profiles.clone(ports, "tiny", CLONES)
    profiles.change(ports, CLONES, instant_clone=True, active=True, position=200)
    for each in terminals.everything(ports, LAB):
        if each.seat <= seats:
            terminals.change(ports, each.name, profile=CLONES)
    deadline = time.monotonic() + TEMPLATE_SECONDS
    while not (report := templates.of_profile(ports, CLONES)).kept:
        if time.monotonic() > deadline:
            told = [job.error for job in jobs.everything(ports) if job.kind is JobKind.TEMPLATE]
            raise HostNotReady(f"There is no template after {TEMPLATE_SECONDS:g} s: {report.problem} {told}", hint="labvirt template list")
        time.sleep(0.5)


def _asked(controller: Controller, seat: int, *, booted: bool) -> Mapping[str, float]:
    """A seat that never had a guest."""
    ready = ask_until_ready(controller.door, terminal_mac(seat), timeout=PATIENCE_SECONDS)
    answered = listen(controller.serial_line(ready.guest), timeout=PATIENCE_SECONDS, booted=booted)
    origin = next(each.origin for each in controller.guests() if each.name == ready.guest)
    if origin.startswith("clone") is not booted:
        raise HostNotReady(f"{ready.guest} began otherwise than it should: {origin}", hint="labvirt template list")
    controller.kill(ready.guest)
    return milliseconds(ready.asked, running=ready.ready, answers=answered.pong, address=answered.address)
