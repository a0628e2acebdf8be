# SPDX-License-Identifier: MIT
"""Switching terminals on: the engine sends the packets, for it lives where the lab's bridge is. Whether one woke is seen when it asks."""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.domain.addresses import MacAddress
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.errors import Conflict
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """`unknown` have no MAC address, and so cannot be woken."""

    terminals: tuple[Terminal, ...]
    unknown: tuple[Terminal, ...]


@needs(Right.OPERATE, terminal="name")
def wake(ports: Ports, name: str, *, by: str) -> Terminal:
    """Magic packets for this terminal went out. Raises NotFound, Conflict (no MAC), EngineAway, NetworkError, HostNotReady."""
    with ports.database.read() as work:
        terminal = work.terminals.one(name)
    if terminal.mac is None:
        raise Conflict(
            f"{name} cannot be woken: the MAC address of its network card is not known.",
            hint=f"labvirt terminal set {name} --mac ADDRESS",
        )
    _wake(ports, terminal.lab, (terminal,), by)
    return terminal


@needs(Right.OPERATE, lab="lab")
def wake_lab(ports: Ports, lab: str, *, by: str) -> Woken:
    """Magic packets for every active terminal of the lab went out. Raises as `wake`, and Conflict when there is none to wake."""
    with ports.database.read() as work:
        active = [each for each in work.terminals.of_lab(work.labs.one(lab).name) if each.active]
    known = tuple(each for each in active if each.mac is not None)
    if not known:
        raise Conflict(
            f"The lab {lab} has no active terminal with a MAC address.", hint=f"Add one: labvirt terminal add --lab {lab} --mac ADDRESS"
        )
    _wake(ports, lab, known, by)
    return Woken(terminals=known, unknown=tuple(each for each in active if each.mac is None))


def _wake(ports: Ports, lab: str, terminals: tuple[Terminal, ...], by: str) -> None:
    macs: tuple[MacAddress, ...] = tuple(each.mac for each in terminals if each.mac is not None)
    ports.engine.wake(lab, macs)
    with ports.database.write() as work:
        for each in terminals:
            ports.note(work, each.name, f"a magic packet was sent to wake it, by {by}", verb="wake", noun="terminal", lab=each.lab)
        work.commit()
