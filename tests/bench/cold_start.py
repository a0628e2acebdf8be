# SPDX-License-Identifier: MIT
"""A1 and A2: from a terminal's question to a guest that runs, and to a guest that answers; beside `virsh create` by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench.controller import MEMORY_MIB, BenchController, Controller, running, terminal_mac
from tests.bench.ground import ground, tiny_image
from tests.bench.plain_libvirt import PlainLibvirt
from tests.bench.question import ask_until_ready
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.serial_line import listen

PATIENCE_SECONDS = 300.0
WARM_UP = 1

NOTES = (
    "LabVirt's way: HTTP question, database, engine, overlay, TLS certificate, TAP, packet filters, sandboxed QEMU with SPICE and VNC.",
    "The baselines' way: qemu-img create or cp, then virsh create; VNC only, no filter, certificate or database; QEMU runs as root.",
    "Same image, memory, processor model (max), q35, virtio disk and card, TCG; the tiny image is 16 MB, so copying it whole costs little.",
    "A2's rows contain the guest's own boot under emulation: overlay and full copy boot alike, so their difference there is noise.",
    "The question comes over the host's loopback, not over a terminal's cable.",
)


def measure(repeat: int) -> list[Record]:
    """One guest at a time; every flow starts with nothing of it running."""
    with ground() as mine:
        image = tiny_image(mine)
        plain = PlainLibvirt(mine, image, MEMORY_MIB)
        plain.start()
        ours = BenchController(mine, "qemu")
        ours.set_up(repeat + WARM_UP, image)
        with running(ours) as controller:
            flows: dict[str, Once] = {
                "ours": lambda number: _ours(controller, number),
                "qemu-img overlay + virsh create": lambda number: plain_guest(plain, plain.overlay, f"overlay-{number}"),
                "full copy + virsh create": lambda number: plain_guest(plain, plain.copy, f"copy-{number}"),
            }
            found = interleave(flows, repeat, warm_up=WARM_UP)
    return [
        record("A1", "question to guest running", "ms", found["running"], notes=NOTES),
        record("A2", "question to guest answering on its serial line", "ms", found["answers"]),
        record("A2-dhcp", "question to guest having its address by DHCP", "ms", found["address"]),
    ]


def _ours(controller: Controller, number: int) -> Mapping[str, float]:
    """A seat that never had a guest."""
    ready = ask_until_ready(controller.door, terminal_mac(number + 1), timeout=PATIENCE_SECONDS)
    answered = listen(controller.serial_line(ready.guest), timeout=PATIENCE_SECONDS)
    controller.kill(ready.guest)
    return milliseconds(ready.asked, running=ready.ready, answers=answered.pong, address=answered.address)


def plain_guest(plain: PlainLibvirt, make_disk: Callable[[str], Path], name: str) -> Mapping[str, float]:
    """By hand: a disk, `virsh create`, and what the guest says."""
    began = time.monotonic()
    serial = plain.create(name, make_disk(name))
    created = time.monotonic()
    answered = listen(serial, timeout=PATIENCE_SECONDS)
    plain.destroy(name)
    return milliseconds(began, running=created, answers=answered.pong, address=answered.address)


def milliseconds(began: float, **moments: float) -> dict[str, float]:
    """From `began` to each moment (time.monotonic())."""
    return {name: (moment - began) * 1000 for name, moment in moments.items()}
