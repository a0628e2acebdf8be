# SPDX-License-Identifier: MIT
"""labvirt terminal wake, restart, shutdown, cancel, orders, power: what makes a terminal start and stop."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Command, Session, pass_session
from labvirt.domain.power_order import OrderState, PowerOrder, PowerWord
from labvirt.domain.power_policy import OnPowerOff
from labvirt.usecases import leaving, orders, waking

FOLLOW_LAB = "lab"


def order_lines(order: PowerOrder) -> list[str]:
    if order.state is OrderState.CANCELLED:
        return [f"{order.terminal} is not told to {order.word.verb} any more."]
    when = f"at its first heartbeat after {order.not_before.astimezone():%H:%M:%S}"
    until = f"{order.expires_at.astimezone():%H:%M:%S}"
    told = [f"  its seat is told: {order.notice}"] if order.notice else []
    return [f"{order.terminal} is told to {order.word.verb} {when}; if it does not come until {until}, the order is over.", *told]


def orders_table(session: Session, found: Iterable[PowerOrder]) -> None:
    def at(moment: datetime | None) -> str:
        return f"{moment.astimezone():%F %T}" if moment else ""

    listed = tuple(found)
    session.table(
        [shapes.plain(each) for each in listed],
        ("NUMBER", "TERMINAL", "ORDER", "STATE", "BY", "ASKED", "ENDED", "WHY"),
        ((o.number, o.terminal, o.word, o.state, o.asked_by, at(o.asked_at), at(o.ended_at), o.why) for o in listed),
        empty="No terminal was ever ordered anything.",
    )


@click.command("wake", cls=Command)
@click.argument("name", type=words.NAME)
@pass_session
def wake(session: Session, /, name: str) -> None:
    """Switch it on over the network (Wake-on-LAN). Its firmware must allow that."""
    with session.ports() as ports:
        woken = waking.wake(ports, name, by=session.who)
    session.show(shapes.terminal(woken), [f"A magic packet for {woken.mac} was sent; {name} is on when it asks."])


def _order(word: PowerWord, help_text: str) -> click.Command:
    @click.command(str(word), cls=Command, help=help_text)
    @click.argument("name", type=words.NAME)
    @click.option("--grace", "grace_seconds", type=int, default=0, metavar="SECONDS", help="Tell its seat first, and wait so long.")
    @pass_session
    def order(session: Session, /, name: str, grace_seconds: int) -> None:
        with session.ports() as ports:
            placed = orders.place(ports, name, word, by=session.who, grace_seconds=grace_seconds)
        session.show(placed, order_lines(placed))

    return order


@click.command("cancel", cls=Command)
@click.argument("name", type=words.NAME)
@pass_session
def cancel(session: Session, /, name: str) -> None:
    """Call off the order that waits for it."""
    with session.ports() as ports:
        ended = orders.cancel(ports, name, by=session.who)
    session.show(ended, order_lines(ended))


@click.command("orders", cls=Command)
@click.argument("name", type=words.NAME, required=False)
@pass_session
def list_orders(session: Session, /, name: str | None) -> None:
    """The last orders, of all terminals or of one, and what became of them."""
    with session.ports() as ports:
        found = orders.last(ports, name)
    orders_table(session, found)


@click.command("power", cls=Command)
@click.argument("name", type=words.NAME)
@click.option("--on-power-off", type=click.Choice([*map(str, OnPowerOff), FOLLOW_LAB]), help="Then its guest: keep, stop, as its lab.")
@pass_session
def power(session: Session, /, name: str, on_power_off: str | None) -> None:
    """What happens to its guest when it is switched off; without an option: what counts."""
    with session.ports() as ports:
        if on_power_off is not None:
            counts = leaving.set_seat(ports, name, None if on_power_off == FOLLOW_LAB else OnPowerOff(on_power_off))
            own = None if on_power_off == FOLLOW_LAB else counts
        else:
            counts, own = leaving.of_terminal(ports, name)
    told: dict[str, Any] = {"terminal": name, "on_power_off": str(counts), "own": own is not None}
    whose = "its own policy" if own is not None else "as its lab says"
    session.show(told, [f"{name}: when it is switched off its guest is to {counts} ({whose})"])


COMMANDS: tuple[click.Command, ...] = (
    wake,
    _order(PowerWord.RESTART, "Restart it at its next heartbeat. Its guest stays."),
    _order(PowerWord.SHUTDOWN, "Switch it off at its next heartbeat."),
    cancel,
    list_orders,
    power,
)
