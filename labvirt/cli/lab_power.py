# SPDX-License-Identifier: MIT
"""labvirt lab wake, restart-terminals, shutdown-terminals, power: what makes all terminals of a lab start and stop."""

from __future__ import annotations

from typing import Any

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Command, Session, given, pass_session
from labvirt.domain.power_order import Occupied, PowerWord
from labvirt.domain.power_policy import OnPowerOff
from labvirt.domain.power_times import PowerTimes, days_text
from labvirt.errors import InvalidInput
from labvirt.usecases import leaving, orders, power_times, waking

_OCCUPIED = "Where somebody sits: tell and wait for the grace (warn), leave it (spare), or not ask (now)."


@click.command("wake", cls=Command)
@click.argument("name", type=words.NAME)
@pass_session
def wake(session: Session, /, name: str) -> None:
    """Switch all its active terminals on over the network (Wake-on-LAN)."""
    with session.ports() as ports:
        woken = waking.wake_lab(ports, name, by=session.who)
    lines = [f"Magic packets for {len(woken.terminals)} terminals of {name} were sent; each is on when it asks."]
    lines += [f"  {each.name} cannot be woken: its MAC address is not known" for each in woken.unknown]
    session.show(
        {"woken": [shapes.terminal(each) for each in woken.terminals], "unknown": [shapes.terminal(each) for each in woken.unknown]}, lines
    )


def _order(word: PowerWord, help_text: str) -> click.Command:
    @click.command(f"{word}-terminals", cls=Command, help=help_text)
    @click.argument("name", type=words.NAME)
    @click.option("--occupied", type=words.choice(Occupied), default=str(Occupied.WARN), help=_OCCUPIED)
    @click.option("--grace", "grace_seconds", type=int, default=600, metavar="SECONDS", help="For warn (default: 600).")
    @pass_session
    def order(session: Session, /, name: str, occupied: Occupied, grace_seconds: int) -> None:
        with session.ports() as ports:
            placed = orders.place_lab(ports, name, word, by=session.who, occupied=occupied, grace_seconds=grace_seconds)
        session.table(
            placed,
            ("TERMINAL", "ORDER", "NOT BEFORE", "WHY"),
            (
                (p.terminal, p.order.word if p.order else "none", f"{p.order.not_before.astimezone():%H:%M:%S}" if p.order else "", p.why)
                for p in placed
            ),
            empty=f"The lab {name} has no active terminal.",
        )

    return order


@click.command("power", cls=Command)
@click.argument("name", type=words.NAME)
@click.option("--on", type=words.TIME, help="Wake its terminals at this time.")
@click.option("--no-on", is_flag=True, help="Wake nobody by the clock.")
@click.option("--off", type=words.TIME, help="Shut its terminals down at this time.")
@click.option("--no-off", is_flag=True, help="Shut nobody down by the clock.")
@click.option("--days", type=words.DAYS, help="On these days, like mon-fri or mon,wed,sat or daily (default: mon-fri).")
@click.option("--occupied", type=words.choice(Occupied), help=_OCCUPIED)
@click.option("--grace", "grace_seconds", type=int, metavar="SECONDS", help="For warn (default: 600).")
@click.option("--on-power-off", type=words.choice(OnPowerOff), help="A guest whose terminal is switched off: keep or stop (default: stop).")
@pass_session
def power(session: Session, /, name: str, no_on: bool, no_off: bool, on_power_off: OnPowerOff | None, **options: Any) -> None:
    """When its terminals are switched on and off by themselves, by the clock of this host, and what happens to guests whose terminals are
    switched off. Without an option: what counts.
    """
    changes = given(on_power_off=on_power_off, **options)
    for flag, field in ((no_on, "on"), (no_off, "off")):
        if flag and field in changes:
            raise InvalidInput(field, "cannot be set and forgotten at once")
        if flag:
            changes[field] = None
    with session.ports() as ports:
        times = power_times.change(ports, name, **changes) if changes else power_times.one(ports, name)
        policy, seats = leaving.policies(ports, name)
    session.show(
        {
            "lab": name,
            "on": _clock(times.on),
            "off": _clock(times.off),
            "days": days_text(times.days),
            "occupied": str(times.occupied),
            "grace_seconds": times.grace_seconds,
            "on_power_off": str(policy),
            "seats": {str(seat): str(own) for seat, own in sorted(seats.items())},
        },
        _lines(times, policy, seats),
    )


def _lines(times: PowerTimes, policy: OnPowerOff, seats: dict[int, OnPowerOff]) -> list[str]:
    on, off = _clock(times.on), _clock(times.off)
    where = {
        Occupied.WARN: f"where somebody sits, told and given {times.grace_seconds} s",
        Occupied.SPARE: "but not where somebody sits",
        Occupied.NOW: "also where somebody sits",
    }[times.occupied]
    lines = [f"{times.lab}: woken {f'at {on}' if on else 'by hand only'}, shut down {f'at {off} ({where})' if off else 'by hand only'}"]
    lines += [f"  on {days_text(times.days)}, by the clock of this host"] if on or off else []
    lines.append(f"  when a terminal is switched off, its guest is to {policy}")
    return lines + [f"    at seat {seat}: {own}" for seat, own in sorted(seats.items())]


def _clock(at: Any) -> str | None:
    return at.isoformat("minutes") if at is not None else None


COMMANDS: tuple[click.Command, ...] = (
    wake,
    _order(PowerWord.RESTART, "Restart all its terminals that are on. Guests stay."),
    _order(PowerWord.SHUTDOWN, "Switch all its terminals off that are on."),
    power,
)
