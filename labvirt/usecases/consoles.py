# SPDX-License-Identifier: MIT
"""Consoles of guests: who may open one, the ticket that does, and whether an open one may stay open."""

from __future__ import annotations

from dataclasses import dataclass, field

from labvirt.domain.console import Console, ConsoleKind
from labvirt.domain.guest import Guest, GuestState, Purpose, RunId
from labvirt.domain.right import Right
from labvirt.errors import Conflict, GuestNotReady, NotAllowed, NotFound
from labvirt.usecases import audit
from labvirt.usecases.console_tickets import LIFE_SECONDS
from labvirt.usecases.ports import Ports

SPECIAL = frozenset({Purpose.ADMIN, Purpose.RESCUE})
"""What is typed into these changes an image, or what somebody has left: that is UPDATE's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """`ticket` opens `console` once, within `seconds`. No representation shows it."""

    console: Console
    ticket: str = field(repr=False)
    seconds: int


def buy(ports: Ports, guest: str, kind: ConsoleKind, *, view_only: bool) -> Bought:
    """A ticket for the run that this guest has now, bound to the caller and its sign-in. Raises NotFound, NotAllowed, GuestNotReady,
    Conflict (the serial line of a canary), TooManyRequests, Exhausted."""
    with ports.database.read() as work:
        row = work.guests.get(guest)
    if row is None:
        raise NotFound("guest", guest)
    _may(ports, row, view_only=view_only)
    if kind is ConsoleKind.SERIAL and row.purpose is Purpose.CANARY:
        raise Conflict(f"The serial line of {guest} belongs to its checks while it is on trial.", hint="Its screen may be looked at.")
    if not row.alive or row.run is None or row.state is GuestState.SILENT:
        raise GuestNotReady(guest, str(row.state))
    console = Console(run=row.run, lab=row.lab, kind=kind, view_only=view_only)
    ticket = ports.consoles.sell(console, ports.caller, ports.clock.monotonic())
    return Bought(console=console, ticket=ticket, seconds=int(LIFE_SECONDS))


def spend(ports: Ports, ticket: str) -> Console:
    """The console that this ticket opens for this caller; it is used up, and history says who opened it. Raises NotAllowed, Conflict (the
    guest was started anew), NotFound, GuestNotReady."""
    console = ports.consoles.take(ticket, ports.caller, ports.clock.monotonic())
    check(ports, console)
    with ports.database.write() as work:
        name, screen = ports.caller.name, console.kind is ConsoleKind.SCREEN
        ports.note(
            work,
            console.guest,
            f"{name} {'looks at' if console.view_only else 'opened'} its {'screen' if screen else 'serial line'}",
        )
        work.commit()
    return console


def connect(ports: Ports, console: Console) -> int:
    """A descriptor to the guest's end of it, which the caller owns. Raises EngineAway, Conflict, DriverError."""
    return ports.engine.open_console(console.run, console.kind)


def check(ports: Ports, console: Console) -> None:
    """It may stay open for this caller. Raises NotFound, NotAllowed, Conflict (the guest was started anew), GuestNotReady (it is off)."""
    with ports.database.read() as work:
        row = work.guests.get(console.guest)
    if row is None:
        raise NotFound("guest", console.guest)
    _may(ports, row, view_only=console.view_only)
    if row.run != console.run and row.run is not None:
        raise Conflict(f"{console.guest} was started anew.", hint="Open its console again.")
    if row.run is None:
        raise GuestNotReady(console.guest, str(row.state))


def may_type(ports: Ports, guest: str) -> bool:
    """Whether a page should offer more than to look. Raises NotFound, NotAllowed when not even that is allowed."""
    with ports.database.read() as work:
        row = work.guests.get(guest)
    if row is None:
        raise NotFound("guest", guest)
    _may(ports, row, view_only=True)
    return _lacks(ports, row, view_only=False) is None


def _may(ports: Ports, row: Guest, *, view_only: bool) -> None:
    """The only place that asks for rights here."""
    if not ports.caller.may(Right.LOOK, row.lab):
        raise NotFound("guest", row.name)
    lacking = _lacks(ports, row, view_only=view_only)
    if lacking is not None:
        audit.refused(ports, f"consoles {row.name}", lacking, (row.lab,))
        raise NotAllowed(
            f"You may not do this in {row.lab}: {lacking}.", hint=f"Who manages {row.lab} can give you a role with the right {lacking}."
        )


def _lacks(ports: Ports, row: Guest, *, view_only: bool) -> Right | None:
    """The first right that this console takes and the caller has not."""
    wanted = [Right.WATCH] if view_only else [Right.CONSOLE]
    if row.purpose in SPECIAL and not view_only:
        wanted.append(Right.UPDATE)
    return next((right for right in wanted if not ports.caller.may(right, row.lab)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """A console without a ticket, for who asks here and now. Its owner closes `descriptor`."""

    console: Console
    descriptor: int


def open_now(ports: Ports, guest: str, kind: ConsoleKind, *, view_only: bool) -> Direct:
    """The same rights, the same line of history, no ticket in between: for a shell. Raises what `buy`, `spend` and `connect` raise."""
    bought = buy(ports, guest, kind, view_only=view_only)
    console = spend(ports, bought.ticket)
    return Direct(console=console, descriptor=connect(ports, console))


def run_of(ports: Ports, guest: str) -> RunId:
    """The run that a console of this guest would belong to. Raises as `buy`."""
    return ports.consoles.take(buy(ports, guest, ConsoleKind.SCREEN, view_only=False).ticket, ports.caller, ports.clock.monotonic()).run
