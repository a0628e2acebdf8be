# SPDX-License-Identifier: MIT
"""One terminal and one lab with everything that is known of their power and hardware: for pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from labvirt.contracts.database import Heartbeat, UnitOfWork
from labvirt.domain.audit import Entry
from labvirt.domain.lab import Lab
from labvirt.domain.power_order import PowerOrder
from labvirt.domain.power_policy import WHOLE_LAB, Departure, OnPowerOff
from labvirt.domain.power_times import PowerTimes
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.usecases import hardware, leaving, orders
from labvirt.usecases.hardware import HardwareView
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

HISTORY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalView:
    """`occupied`: somebody looks at its guest. `order`: the last one, whatever became of it."""

    at: datetime
    terminal: Terminal
    lab: Lab
    occupied: bool
    heartbeat: Heartbeat | None
    departure: Departure | None
    order: PowerOrder | None
    hardware: HardwareView
    on_power_off: OnPowerOff
    history: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPowerView:
    """A lab's terminals by seat, with its times (None: it has none) and its policy."""

    at: datetime
    lab: Lab
    times: PowerTimes | None
    on_power_off: OnPowerOff
    terminals: tuple[TerminalView, ...]


@needs(Right.LOOK, terminal="name")
def one(ports: Ports, name: str) -> TerminalView:
    """Raises NotFound."""
    with ports.database.read() as work:
        terminal = work.terminals.one(name)
        beats = {beat.terminal: beat for beat in work.heartbeats.list()}
        return _view(ports, work, terminal, work.labs.one(terminal.lab), beats, HISTORY)


@needs(Right.LOOK, lab="name")
def of_lab(ports: Ports, name: str) -> LabPowerView:
    """Raises NotFound."""
    with ports.database.read() as work:
        lab = work.labs.one(name)
        beats = {beat.terminal: beat for beat in work.heartbeats.list()}
        known = sorted(work.terminals.of_lab(name), key=lambda each: each.seat)
        return LabPowerView(
            at=ports.clock.now(),
            lab=lab,
            times=work.power_times.get(name),
            on_power_off=leaving.policy_of(work, name, WHOLE_LAB),
            terminals=tuple(_view(ports, work, each, lab, beats, 0) for each in known),
        )


def _view(ports: Ports, work: UnitOfWork, terminal: Terminal, lab: Lab, beats: dict[str, Heartbeat], history: int) -> TerminalView:
    now = ports.clock.now()
    return TerminalView(
        at=now,
        terminal=terminal,
        lab=lab,
        occupied=orders.is_occupied(work, lab, terminal, beats, now),
        heartbeat=beats.get(terminal.name),
        departure=work.departures.get(terminal.name),
        order=next(iter(work.orders.last(1, terminal.name)), None),
        hardware=hardware.view(work, terminal),
        on_power_off=leaving.policy_of(work, terminal.lab, terminal.seat),
        history=work.audit.last(history, terminal.name) if history else (),
    )
