# SPDX-License-Identifier: MIT
"""Goodbyes: a terminal that is switched off lets its guest be stopped, one that restarts leaves it (domain.power_policy)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain import caller
from labvirt.domain.guest import Purpose, StopHow, Wish
from labvirt.domain.power_order import PowerWord
from labvirt.domain.power_policy import DEFAULT, WHOLE_LAB, Departure, OnPowerOff, PowerPolicy, depart
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

LAST_WORDS_SECONDS = 60
"""The longest that a question is held (docs/reference/terminal-protocol.md): one that comes later is a new one."""


def goodbye(ports: Ports, terminal: Terminal, word: PowerWord) -> None:
    """The terminal restarts or is switched off now, it says. Its guest is stopped as its seat's policy says, after the lab's grace."""
    now = ports.clock.now()
    with ports.database.write() as work:
        lab = work.labs.one(terminal.lab)
        grace = lab.leave_grace_seconds
        before = work.departures.get(terminal.name)
        departure = depart(terminal.name, word, policy_of(work, terminal.lab, terminal.seat), grace, now)
        if before is not None and before.word is word and now - before.at < timedelta(seconds=LAST_WORDS_SECONDS):
            departure = replace(departure, stop_at=before.stop_at)  # said twice: the first one counts
        else:
            then = f"; its guest is stopped in {grace} s unless it comes back" if departure.stop_at else "; its guest stays"
            ports.note(
                work,
                terminal.name,
                ("is switched off" if word is PowerWord.SHUTDOWN else "restarts") + ", it says" + then,
                verb="leave",
                noun="terminal",
                lab=terminal.lab,
                by=caller.terminal(terminal.name),
            )
        work.departures.put(departure)
        stopped = _stop(ports, work, departure, now)
        work.commit()
    if stopped:
        ports.poke()


def back(ports: Ports, terminal: str) -> None:
    """The terminal was heard again: what its goodbye would have brought is called off."""
    with ports.database.write() as work:
        work.departures.remove(terminal)
        ports.note(work, terminal, "is back", verb="return", noun="terminal", by=caller.terminal(terminal))
        work.commit()


def stop_due(ports: Ports) -> None:
    """Guests whose terminals are gone for as long as their labs give them are asked to shut down. Those of terminals that were heard
    since are not.
    """
    now = ports.clock.now()
    with ports.database.read() as work:
        if not any(each.stop_at is not None and each.stop_at <= now for each in work.departures.list()):
            return
    with ports.database.write() as work:
        beats = {beat.terminal: beat for beat in work.heartbeats.list()}
        for departure in work.departures.list():
            beat = beats.get(departure.terminal)
            if beat is not None and departure.ended_by(beat.at):
                work.departures.remove(departure.terminal)
            else:
                _stop(ports, work, departure, now)
        work.commit()
    ports.poke()


def is_gone(work: UnitOfWork, terminal: str, now: datetime) -> bool:
    """Has it just said that it is switched off? A question that was held meanwhile is its last words, and starts nothing."""
    departure = work.departures.get(terminal)
    if departure is None or departure.word is not PowerWord.SHUTDOWN:
        return False
    return now - departure.at < timedelta(seconds=LAST_WORDS_SECONDS)


def policy_of(work: UnitOfWork, lab: str, seat: int) -> OnPowerOff:
    """What counts for this seat: its own policy, else its lab's, else the default."""
    found = work.power_policies.get(lab, seat) or work.power_policies.get(lab, WHOLE_LAB)
    return found.on_power_off if found else DEFAULT


@needs(Right.LOOK, lab="lab")
def policies(ports: Ports, lab: str) -> tuple[OnPowerOff, dict[int, OnPowerOff]]:
    """Of the lab, and of the seats that have their own. Raises NotFound."""
    with ports.database.read() as work:
        found = {each.seat: each.on_power_off for each in work.power_policies.of_lab(work.labs.one(lab).name)}
    return found.pop(WHOLE_LAB, DEFAULT), found


@needs(Right.LOOK, terminal="name")
def of_terminal(ports: Ports, name: str) -> tuple[OnPowerOff, OnPowerOff | None]:
    """What counts for the seat of this terminal, and its own policy if it has one. Raises NotFound."""
    with ports.database.read() as work:
        terminal = work.terminals.one(name)
        own = work.power_policies.get(terminal.lab, terminal.seat)
        return policy_of(work, terminal.lab, terminal.seat), own.on_power_off if own else None


@needs(Right.SEATS, terminal="name")
def set_seat(ports: Ports, name: str, policy: OnPowerOff | None) -> OnPowerOff:
    """The seat of this terminal has its own policy (None: its lab's again); what counts now. Raises NotFound."""
    with ports.database.write() as work:
        terminal = work.terminals.one(name)
        if policy is None:
            work.power_policies.remove(terminal.lab, terminal.seat)
        else:
            work.power_policies.put(PowerPolicy(lab=terminal.lab, seat=terminal.seat, on_power_off=policy))
        counts = policy_of(work, terminal.lab, terminal.seat)
        ports.note(
            work,
            name,
            f"when it is switched off its guest is to {counts}",
            verb="change",
            noun="terminal",
            lab=terminal.lab,
            after={"on_power_off": counts},
        )
        work.commit()
    return counts


def _stop(ports: Ports, work: UnitOfWork, departure: Departure, now: datetime) -> bool:
    if departure.stop_at is None or departure.stop_at > now:
        return False
    work.departures.put(replace(departure, stop_at=None))
    terminal = work.terminals.one(departure.terminal)
    guest = work.guests.get(work.labs.one(terminal.lab).guest_name(terminal.seat))
    if guest is None or guest.wish is not Wish.RUNNING or guest.purpose is not Purpose.SEAT:
        return False
    work.guests.update(guest.unwanted(StopHow.SHUTDOWN))
    ports.note(
        work,
        guest.name,
        f"to be stopped ({StopHow.SHUTDOWN}): its terminal {terminal.name} was switched off",
        verb="stop",
        noun="guest",
        lab=guest.lab,
    )
    return True
