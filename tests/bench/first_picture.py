# SPDX-License-Identifier: MIT
"""V1: what the person in front of the screen waits for: from the terminal's first question until its own screen shows its own guest.

The terminal is the demo's: a network namespace, a DHCP client, an X server whose frame buffer is read, the real kiosk program and the real
viewer (remote-viewer over SPICE with TLS). The picture says itself whose it is: the tiny guest paints MAC and address into it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from labvirt.config import share_folder
from labvirt.demo import picture, place
from labvirt.demo.controller import PORT
from labvirt.demo.terminal import DemoTerminal
from labvirt.domain.lab import SeatIdentity
from labvirt.domain.pool import SpareKind
from labvirt.errors import HostNotReady
from labvirt.usecases import labs, pools, power
from tests.bench.clone_lab import CLONES, LAB, CloneLab, clone_lab
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.warm_pool import wait_until

BOOTS = "the guest boots"
CLONE = "instant clone"
WAITS = {SpareKind.PAUSED: "a loaded clone waits", SpareKind.READY: "a running guest waits"}
SEATS = 2
"""Of those with clones: a pool is of the whole lab."""
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.05
NOTES = (
    "The terminal's programs (X, kiosk, viewer) run on the same two processors as the guest; the viewer is started anew each time.",
    "Shown: MAC and address of this seat's guest were read out of the terminal's own frame buffer.",
)


def measure(repeat: int, *, warm_up: int) -> list[Record]:
    """One terminal at a time; its guest is gone before the next."""
    with clone_lab(SEATS, boots=1) as lab:
        flows: dict[str, Once] = {
            BOOTS: lambda number: _once(lab, SEATS, None, number),
            CLONE: lambda number: _once(lab, number % SEATS, None, number),
            **{name: _pooled(lab, kind) for kind, name in WAITS.items()},
        }
        found = interleave(flows, repeat, warm_up=warm_up)
    return [
        record("V1", "question to the guest's picture on the terminal's screen", "s", found["shown"], ours=CLONE, notes=NOTES),
        record("V1-ready", "question to the answer that the guest runs", "s", found["ready"], ours=CLONE),
        record("V1-viewer", "question to the viewer's start", "s", found["viewer"], ours=CLONE),
    ]


def _pooled(lab: CloneLab, kind: SpareKind) -> Once:
    return lambda number: _once(lab, number % SEATS, kind, number)


def _once(lab: CloneLab, seat: int, kind: SpareKind | None, number: int) -> Mapping[str, float]:
    """Seconds since the first question."""
    ports = lab.controller.ports
    pools.put(ports, LAB, CLONES, **({kind.value: SEATS} if kind else {}))
    wait_until(lab, kind)
    identity = labs.one(ports, LAB).identity(seat + 1)
    terminal = _plugged_in(lab, seat, number)
    try:
        terminal.switch_on(f"http://{labs.one(ports, LAB).network.gateway}:{PORT}")
        measured = _watch(terminal, identity)
        origin = power.one(ports, identity.guest).origin
    finally:
        place.end([terminal.namespace])
    pools.put(ports, LAB, CLONES)
    lab.kill_all()
    expected = f"{kind.value} clone of" if kind is SpareKind.PAUSED else "boot" if seat == SEATS else ""
    if not origin.startswith(expected):
        raise HostNotReady(f"{identity.guest} began otherwise than it should ({kind}): {origin}", hint="labvirt template list")
    return measured


def _plugged_in(lab: CloneLab, seat: int, number: int) -> DemoTerminal:
    """A new PC with the MAC of this seat's terminal, off."""
    terminal = DemoTerminal(lab.place, 1 + seat, lab.macs[seat], share_folder("kiosk") / "labvirt-kiosk")
    terminal.folder = lab.place.folder / f"terminal-{seat}-{number}-{time.monotonic_ns()}"
    terminal.plug_in(str(labs.one(lab.controller.ports, LAB).bridge))
    return terminal


def _watch(terminal: DemoTerminal, identity: SeatIdentity) -> Mapping[str, float]:
    strip = picture.strip_reader(share_folder("images") / "tiny")
    wanted = (str(identity.mac), str(identity.address))
    deadline = time.monotonic() + PATIENCE_SECONDS
    asked: datetime | None = None
    while True:
        report = terminal.report()
        asked = asked or report.asked_at
        if report.viewer_started_at is not None:
            screen = picture.read_frame_buffer(terminal.frame_buffer)
            now = datetime.now(UTC)
            shown = strip.read_strip(screen) if screen is not None else None
            if shown is not None and (shown.mac, shown.address) == wanted:
                break
        if time.monotonic() > deadline:
            raise HostNotReady(f"The screen does not show {identity.guest}: {report}", hint=f"Look at {terminal.folder}.")
        time.sleep(LOOK_SECONDS)
    report = terminal.report()
    if asked is None or report.ready_at is None or report.viewer_started_at is None:
        raise HostNotReady(f"The kiosk does not say when it asked: {report}", hint=f"Look at {terminal.folder}.")
    moments = {"shown": now, "ready": report.ready_at, "viewer": report.viewer_started_at}
    return {name: (moment - asked).total_seconds() for name, moment in moments.items()}
