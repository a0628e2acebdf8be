# SPDX-License-Identifier: MIT
"""Orders to terminals (restart, shut down): placed by people and the clock, given with a heartbeat's answer, over when confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from labvirt.contracts.database import Heartbeat, UnitOfWork
from labvirt.domain.audit import Outcome
from labvirt.domain.guest import GuestState
from labvirt.domain.lab import Lab
from labvirt.domain.names import one_line
from labvirt.domain.power_order import Occupied, OrderState, PowerOrder, PowerWord, check_grace, new_order
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.errors import Conflict
from labvirt.usecases import whose
from labvirt.usecases.draining import clock_time
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible

LAST = 50
VIEWER_SECONDS = 30
"""A kiosk speaks every 10 s: what it said of its viewer is believed so long."""
OFF_SECONDS = 600
"""A terminal that was not heard for so long is taken for off."""

_CONFIRMABLE = (OrderState.GIVEN, OrderState.EXPIRED)
"""A confirmation may come a moment after the order's time: the kiosk obeys all the same."""

_DONE = {PowerWord.RESTART: "restarted", PowerWord.SHUTDOWN: "switched off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What an order to a lab came to at one terminal. `order` None: nothing, and `why` says why."""

    terminal: str
    order: PowerOrder | None
    why: str


@needs(Right.OPERATE, terminal="name")
def place(ports: Ports, name: str, word: PowerWord, *, by: str, grace_seconds: int = 0) -> PowerOrder:
    """The terminal hears this at its next heartbeat, after the grace, of which its seat is told; an order that waited is replaced.
    Raises NotFound, Conflict (it can never take one), InvalidInput (grace), DatabaseError.
    """
    check_grace(grace_seconds)
    with ports.database.write() as work:
        terminal = work.terminals.one(name)
        if terminal.mac is None:
            raise Conflict(
                f"{name} takes no orders: it cannot be recognised by its lease without a MAC address.",
                hint=f"labvirt terminal set {name} --mac ADDRESS",
            )
        order = _put(ports, work, terminal, word, by, grace_seconds)
        work.commit()
    ports.poke()
    return order


@needs(Right.OPERATE, lab="lab")
def place_lab(
    ports: Ports, lab: str, word: PowerWord, *, by: str, occupied: Occupied = Occupied.WARN, grace_seconds: int = 600
) -> tuple[Placed, ...]:
    """The same for every active terminal of the lab that is on, by seat; `occupied` says what happens where somebody sits.
    Raises NotFound, InvalidInput (grace), DatabaseError.
    """
    check_grace(grace_seconds)
    with ports.database.write() as work:
        placed = in_lab(ports, work, lab, word, by=by, occupied=occupied, grace_seconds=grace_seconds)
        work.commit()
    ports.poke()
    return placed


def in_lab(
    ports: Ports, work: UnitOfWork, lab: str, word: PowerWord, *, by: str, occupied: Occupied, grace_seconds: int
) -> tuple[Placed, ...]:
    """`place_lab` in this unit of work."""
    place, now = work.labs.one(lab), ports.clock.now()
    beats = {beat.terminal: beat for beat in work.heartbeats.list()}
    placed = []
    for terminal in sorted(work.terminals.of_lab(lab), key=lambda each: each.seat):
        if not terminal.active:
            continue
        why = _why_not(work, terminal, beats, now)
        taken = not why and is_occupied(work, place, terminal, beats, now)
        if taken and occupied is Occupied.SPARE:
            why = "somebody sits there, and is spared"
        if why:
            placed.append(Placed(terminal=terminal.name, order=None, why=why))
            continue
        warned = taken and occupied is Occupied.WARN
        order = _put(ports, work, terminal, word, by, grace_seconds if warned else 0)
        placed.append(Placed(terminal=terminal.name, order=order, why="somebody sits there, and is told" if warned else ""))
    return tuple(placed)


@needs(Right.OPERATE, terminal="name")
def cancel(ports: Ports, name: str, *, by: str) -> PowerOrder:
    """The order that waited is not given any more. Raises NotFound, Conflict (there is none, or the terminal has it already)."""
    with ports.database.write() as work:
        terminal = work.terminals.one(name)
        order = work.orders.open_of(name)
        if order is None or order.over(ports.clock.now()):
            raise Conflict(f"No order waits for {name}.", hint="labvirt terminal orders")
        if order.state is OrderState.GIVEN:
            raise Conflict(f"{name} has heard its order already.")
        order = _end(ports, work, order, OrderState.CANCELLED, f"by {by}")
        ports.note(
            work,
            terminal.name,
            f"the order to {order.word.verb} was called off by {by}",
            verb="call-off",
            noun="terminal",
            lab=terminal.lab,
        )
        work.commit()
    ports.poke()
    return order


@needs(Right.LOOK, each=True, terminal="name")
def last(ports: Ports, name: str | None = None) -> tuple[PowerOrder, ...]:
    """The newest orders first, of all terminals or of one. Raises NotFound."""
    with ports.database.read() as work:
        found = work.orders.last(LAST, None if name is None else work.terminals.one(name).name)
        return visible(ports, found, lambda order: whose.terminal(work, order.terminal))


def give(ports: Ports, found: PowerOrder) -> PowerOrder | None:
    """The order, given now to a terminal that was heard; None when it was over meanwhile."""
    if found.state is OrderState.GIVEN:
        return found
    with ports.database.write() as work:
        order = work.orders.get(found.number)
        if order is None or not order.due(ports.clock.now()):
            return None
        order = order.given(ports.clock.now())
        work.orders.update(order)
        work.commit()
    return order


def confirm(ports: Ports, terminal: str, number: int, state: OrderState) -> None:
    """The terminal says that it obeys (DONE) or may not (REFUSED). Again, or of an order that is not its own: nothing happens."""
    with ports.database.write() as work:
        order = work.orders.get(number)
        if order is None or order.terminal != terminal or order.given_at is None or order.state not in _CONFIRMABLE:
            return
        why = "its kiosk may not do that" if state is OrderState.REFUSED else ""
        _end(ports, work, order, state, why)
        ports.note(
            work,
            terminal,
            f"was told by {order.asked_by} to {order.word.verb}" + (f": {why}" if why else ""),
            verb=str(order.word),
            noun="terminal",
        )
        work.commit()
    ports.poke()


def expire(ports: Ports) -> None:
    """Orders that nobody took in time are over, and their notices gone."""
    now = ports.clock.now()
    with ports.database.read() as work:
        if not any(order.over(now) for order in work.orders.open()):
            return
    with ports.database.write() as work:
        for order in work.orders.open():
            if order.over(now):
                _end(ports, work, order, OrderState.EXPIRED, "")
                ports.note(
                    work,
                    order.terminal,
                    f"did not come for its order to {order.word.verb} in time",
                    verb=str(order.word),
                    noun="terminal",
                    outcome=Outcome.FAILED,
                )
        work.commit()
    ports.poke()


def is_occupied(work: UnitOfWork, lab: Lab, terminal: Terminal, beats: Mapping[str, Heartbeat], now: datetime) -> bool:
    """Does somebody look at this seat's guest, as we see it or as its kiosk says?"""
    guest = work.guests.get(lab.guest_name(terminal.seat))
    beat = beats.get(terminal.name)
    says = beat is not None and beat.viewer == "running" and now - beat.at <= timedelta(seconds=VIEWER_SECONDS)
    return says or (guest is not None and guest.state is GuestState.CONNECTED)


def _why_not(work: UnitOfWork, terminal: Terminal, beats: Mapping[str, Heartbeat], now: datetime) -> str:
    if terminal.mac is None:
        return "its MAC address is not known, so it takes no orders"
    if work.departures.get(terminal.name) is not None:
        return "it said goodbye and has not come back"
    beat = beats.get(terminal.name)
    if beat is None or now - beat.at > timedelta(seconds=OFF_SECONDS):
        return "it is off: it has not been heard for ten minutes"
    return ""


def _put(ports: Ports, work: UnitOfWork, terminal: Terminal, word: PowerWord, by: str, grace_seconds: int) -> PowerOrder:
    now = ports.clock.now()
    before = work.orders.open_of(terminal.name)
    if before is not None:
        _end(ports, work, before, OrderState.EXPIRED if before.over(now) else OrderState.CANCELLED, "another one was placed")
    notice = ""
    if grace_seconds:
        at = clock_time(now + timedelta(seconds=grace_seconds))
        notice = one_line(f"This terminal is {_DONE[word]} at {at}. Please save your work.")
    order = work.orders.add(new_order(terminal.name, word, by=by, now=now, grace_seconds=grace_seconds, notice=notice))
    guest = work.guests.get(work.labs.one(terminal.lab).guest_name(terminal.seat))
    if notice and guest is not None and guest.due is None:
        work.guests.update(replace(guest, notice=notice))
    ports.note(
        work,
        terminal.name,
        f"is to {word.verb}, by {by}" + (f", in {grace_seconds} s" if grace_seconds else ""),
        verb="order",
        noun="terminal",
        lab=terminal.lab,
    )
    return order


def _end(ports: Ports, work: UnitOfWork, order: PowerOrder, state: OrderState, why: str) -> PowerOrder:
    """Over; what the seat was told because of it is not told any more."""
    ended = order.ended(state, ports.clock.now(), why)
    work.orders.update(ended)
    terminal = work.terminals.get(order.terminal)
    guest = work.guests.get(work.labs.one(terminal.lab).guest_name(terminal.seat)) if terminal is not None else None
    if order.notice and guest is not None and guest.notice == order.notice and guest.due is None:
        work.guests.update(replace(guest, notice=""))
    return ended
