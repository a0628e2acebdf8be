# SPDX-License-Identifier: MIT
"""What terminals say of their machines: kept as their word, judged, listed."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.findings import Finding
from labvirt.domain.hardware import Hardware, HardwareReport, judge
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.usecases import asking
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareView:
    """One terminal of the inventory. `report` None: it has said nothing yet."""

    terminal: Terminal
    report: HardwareReport | None
    findings: tuple[Finding, ...]


def tell(ports: Ports, id: str | None, source: IPv4Address | None, said: Hardware) -> None:
    """What the terminal says of its machine is kept in the place of what it said before; what has changed is in its history.
    Raises NotFound (unknown terminal), NotAllowed (not from its own address), EngineAway, DatabaseError.
    """
    terminal = asking.proven(ports, id, source, lately=True)
    now = ports.clock.now()
    with ports.database.write() as work:
        before = work.hardware.get(terminal.name)
        same = before is not None and before.hardware == said
        since = before.since if before is not None and same else now
        work.hardware.put(HardwareReport(terminal=terminal.name, hardware=said, at=now, since=since))
        if before is not None and not same:
            ports.note(
                work, terminal.name, f"says that its hardware is another now: {said.words or 'nothing'}", verb="report", noun="terminal"
            )
        work.commit()


@needs(Right.LOOK, terminal="name")
def one(ports: Ports, name: str) -> HardwareView:
    """Raises NotFound."""
    with ports.database.read() as work:
        return view(work, work.terminals.one(name))


@needs(Right.LOOK, lab="lab")
def of_lab(ports: Ports, lab: str) -> tuple[HardwareView, ...]:
    """Every terminal of the lab, by seat. Raises NotFound."""
    with ports.database.read() as work:
        found = sorted(work.terminals.of_lab(work.labs.one(lab).name), key=lambda each: each.seat)
        return tuple(view(work, each) for each in found)


def view(work: UnitOfWork, terminal: Terminal) -> HardwareView:
    """What this terminal said last, and what is to be thought of it."""
    report = work.hardware.get(terminal.name)
    return HardwareView(terminal=terminal, report=report, findings=judge(report.hardware, terminal.name) if report else ())
