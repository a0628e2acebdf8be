# SPDX-License-Identifier: MIT
"""One act on many seats of a lab, with a plan beforehand that says what will be refused and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.guest import Guest, GuestState, Wish
from labvirt.domain.lab import Lab
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import asking, power, seats
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

HOW_TO_CHOOSE = "Click seats on the map, draw a frame around them, or press Ctrl A."


class SeatAct(StrEnum):
    START = "start"
    SHUTDOWN = "shutdown"
    RESET = "reset"
    """The reset button: same run, same disks."""
    FRESH = "fresh"
    """A new run on the versions that are published now; what was written is kept aside for a while (rescue)."""


class Why(StrEnum):
    """What a plan says of a seat, for pages to say in their language; `detail` is more, in the words of who refused."""

    WILL = "will"
    RUNS = "it runs already"
    OFF = "it is off"
    STOPPING = "it is being shut down already"
    INACTIVE = "its terminal is switched off by the administrator"
    NOTHING = "nothing can be started there"
    NOT_READY = "it is not ready: only what runs can be reset"
    EMPTY = "there is no such seat"
    FAILED = "it was refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlan:
    """`occupied`: somebody looks at it now. `why` is WILL where the act will be (or was) done."""

    guest: str
    seat: int
    terminal: str
    why: Why
    occupied: bool = False
    detail: str = ""

    @property
    def will(self) -> bool:
        return self.why is Why.WILL


@needs(Right.OPERATE, lab="lab")
def plan(ports: Ports, lab: str, act: SeatAct, chosen: Collection[int]) -> tuple[SeatPlan, ...]:
    """What the act would come to at each of these seats, by number. Changes nothing. Raises NotFound (lab), InvalidInput (none chosen)."""
    if not chosen:
        raise InvalidInput("seats", "choose at least one", hint=HOW_TO_CHOOSE)
    with ports.database.read() as work:
        place = work.labs.one(lab)
        terminals = {terminal.seat: terminal for terminal in work.terminals.of_lab(lab)}
        guests = {guest.seat: guest for guest in work.guests.of_lab(lab)}
        choose = seats.chooser(work)
        return tuple(_plan(work, place, act, seat, terminals.get(seat), guests.get(seat), choose) for seat in sorted(set(chosen)))


@needs(Right.OPERATE, lab="lab")
def do(ports: Ports, lab: str, act: SeatAct, chosen: Collection[int], *, by: str) -> tuple[SeatPlan, ...]:
    """The act was done where its plan says WILL; one that is refused in the end does not keep the others. Raises as `plan`."""
    return tuple(_do(ports, act, each, by) if each.will else each for each in plan(ports, lab, act, chosen))


def _plan(
    work: UnitOfWork, lab: Lab, act: SeatAct, seat: int, terminal: Terminal | None, guest: Guest | None, choose: seats.Chooser
) -> SeatPlan:
    told = SeatPlan(
        guest=lab.guest_name(seat) if 1 <= seat <= lab.network.capacity else f"{lab.name} {seat}",
        seat=seat,
        terminal=terminal.name if terminal else "",
        why=Why.WILL,
        occupied=guest is not None and guest.state is GuestState.CONNECTED,
    )
    if terminal is None and guest is None:
        return replace(told, why=Why.EMPTY)
    on = guest is not None and (guest.alive or guest.wish is Wish.RUNNING)
    if act is SeatAct.SHUTDOWN:
        if not on:
            return replace(told, why=Why.OFF)
        return replace(told, why=Why.STOPPING) if guest is not None and guest.wish is Wish.STOPPED else told
    if act is SeatAct.RESET:
        ready = guest is not None and guest.alive and guest.wish is Wish.RUNNING
        return told if ready else replace(told, why=Why.NOT_READY)
    if terminal is not None and not terminal.active:
        return replace(told, why=Why.INACTIVE)
    if act is SeatAct.START and on and guest is not None and guest.wish is Wish.RUNNING and guest.state is not GuestState.FAILED:
        return replace(told, why=Why.RUNS)
    choice = choose(lab, terminal, guest)
    return told if choice.profile is not None else replace(told, why=Why.NOTHING, detail=asking.refusal_of(choice))


def _do(ports: Ports, act: SeatAct, told: SeatPlan, by: str) -> SeatPlan:
    try:
        if act is SeatAct.START:
            power.start(ports, told.guest, by=by)
        elif act is SeatAct.FRESH:
            power.fresh(ports, told.guest, by=by)
        elif act is SeatAct.RESET:
            power.reset(ports, told.guest, by=by)
        else:
            power.stop(ports, told.guest)
    except LabVirtError as error:
        return replace(told, why=Why.FAILED, detail=error.sentence)
    return told
