# SPDX-License-Identifier: MIT
"""What the person at a terminal may do to the guest of that seat, where the settings allow it: restart it, get a fresh one."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address

from labvirt.domain.guest import Guest, GuestState
from labvirt.errors import Conflict, GuestNotReady, InvalidInput, NotAllowed
from labvirt.usecases import asking, power, settings
from labvirt.usecases.ports import Ports


class TerminalDeed(StrEnum):
    RESTART_GUEST = "restart-guest"
    """The reset button of a guest that runs; one that failed or is off is started."""
    FRESH_GUEST = "fresh-guest"
    """A new run on new overlays: what was written is forgotten."""


def parse(word: str) -> TerminalDeed:
    """Raises InvalidInput."""
    try:
        return TerminalDeed(word)
    except ValueError as error:
        raise InvalidInput("deed", f"must be one of {', '.join(TerminalDeed)}") from error


def do(ports: Ports, id: str | None, source: IPv4Address | None, deed: TerminalDeed) -> Guest:
    """The deed is done to the guest of this terminal's seat.

    Only for the address whose live lease belongs to this terminal's MAC. Raises NotFound (unknown terminal), NotAllowed (address,
    inactive terminal, or the settings do not allow it), GuestNotReady (it is just starting or stopping), Conflict (it is no guest of the
    seat's person, or no profile can be started), TooManyRequests (ports.DEEDS), EngineAway, DatabaseError.
    """
    terminal = asking.proven(ports, id, source)
    with ports.database.read() as work:
        seen = asking.look(work, terminal)
        allowed = settings.allowed(settings.of_terminal(work, terminal))
    if not terminal.active:
        raise NotAllowed(
            f"The terminal {terminal.name} is switched off by the administrator.", hint=f"labvirt terminal set {terminal.name} --active"
        )
    if deed not in allowed:
        raise NotAllowed(
            f"The person at {terminal.name} may not do this: {deed}.",
            hint=f"labvirt settings set --terminal {terminal.name} allow {','.join((*allowed, deed))}",
        )
    guest = seen.guest
    name = seen.lab.guest_name(terminal.seat)
    if seen.refusal:
        raise Conflict(f"{name} cannot be started: {seen.refusal}.")
    if guest is not None and guest.state in (GuestState.WANTED, GuestState.STARTING, GuestState.STOPPING):
        raise GuestNotReady(name, str(guest.state))
    ports.deeds.step(terminal.name, f"The restart of {name}", ports.clock.monotonic())
    by = f"the person at {terminal.name}"
    if deed is TerminalDeed.FRESH_GUEST:
        return _waits(ports, power.fresh(ports, name, by=by))
    if guest is None or not guest.alive:
        return _waits(ports, power.start(ports, name, by=by))
    return power.reset(ports, name, by=by)


def _waits(ports: Ports, guest: Guest) -> Guest:
    """Whoever pressed the button waits in front of it."""
    asking.in_front(ports, guest, 0)
    return guest
