# SPDX-License-Identifier: MIT
"""Switching terminals on and off: orders by word, times of a lab, and what happens to a guest whose terminal is switched off."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any

from pydantic import Field

from labvirt.domain.power_order import Occupied, PowerOrder, PowerWord
from labvirt.domain.power_policy import OnPowerOff
from labvirt.domain.power_times import PowerTimes, days_text, parse_days, parse_time
from labvirt.usecases import leaving, orders, power_times
from labvirt.usecases.orders import Placed
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Answered, Seconds, Shape, Told, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged
from labvirt.web.api.profiles import AS_IT_IS

noun = Noun("power", "Switching terminals on and off, by word and by the clock.")

ORDER = shape(PowerOrder)
ORDERS = Many(ORDER, key=lambda each: each.number, newest_first=True)


class Order(Told):
    """What the terminal is told at its next heartbeat. `grace_seconds`: its seat is told first, and has so long."""

    word: PowerWord
    grace_seconds: Seconds = 0


class LabOrder(Told):
    """What all its terminals that are on are told. `occupied`: what happens where somebody sits."""

    word: PowerWord
    occupied: Occupied = Occupied.WARN
    grace_seconds: Seconds = 600


class Wanted(Paged):
    """Whose orders."""

    terminal: Annotated[str, Field(max_length=64, description="Only of this terminal.")] = ""


class SeatPolicy(Answered):
    """What happens to its guest when a terminal is switched off; `own`: by its own policy, not by its lab's."""

    terminal: str
    on_power_off: OnPowerOff
    own: bool


class SeatPolicyTold(Told):
    """Null: as its lab says."""

    on_power_off: OnPowerOff | None


class LabPower(Answered):
    """When its terminals are switched on and off by themselves (HH:MM, the host's clock), and what happens to guests then."""

    lab: str
    on: str | None
    off: str | None
    days: str
    occupied: Occupied
    grace_seconds: int
    on_power_off: OnPowerOff
    seats: dict[str, str]


class LabPowerChange(Told):
    """Fields of it. Null at `on` and `off`: by hand only."""

    on: Annotated[str, Field(max_length=5, description="HH:MM")] | None = None
    off: Annotated[str, Field(max_length=5, description="HH:MM")] | None = None
    days: Annotated[str, Field(max_length=60, description="Like mon-fri, or mon,wed,sat, or daily.")] = "mon-fri"
    occupied: Occupied = Occupied.WARN
    grace_seconds: Seconds = 600
    on_power_off: OnPowerOff = OnPowerOff.STOP


@noun.get("/orders", ORDERS, cli="terminal orders")
def list_(ports: Ports, asked: Wanted) -> tuple[PowerOrder, ...]:
    """The last orders, the newest first, and what became of them."""
    return orders.last(ports, asked.terminal or None)


@noun.post("/terminals/{terminal}/order", ORDER, cli=("terminal restart", "terminal shutdown"))
def order(ports: Ports, terminal: str, told: Order) -> PowerOrder:
    """Restart it or switch it off at its next heartbeat."""
    return orders.place(ports, terminal, told.word, by=ports.caller.name, grace_seconds=told.grace_seconds)


@noun.delete("/terminals/{terminal}/order", ORDER, cli="terminal cancel")
def cancel(ports: Ports, terminal: str) -> PowerOrder:
    """Call off the order that waits for it."""
    return orders.cancel(ports, terminal, by=ports.caller.name)


@noun.post(
    "/labs/{lab}/order", Many(shape(Placed), key=lambda each: each.terminal), cli=("lab restart-terminals", "lab shutdown-terminals")
)
def order_lab(ports: Ports, lab: str, told: LabOrder) -> tuple[Placed, ...]:
    """Restart all its terminals that are on, or switch them off."""
    return orders.place_lab(ports, lab, told.word, by=ports.caller.name, occupied=told.occupied, grace_seconds=told.grace_seconds)


@noun.get("/terminals/{terminal}/power", Shape(SeatPolicy, AS_IT_IS), cli="terminal power")
def of_terminal(ports: Ports, terminal: str) -> dict[str, Any]:
    """What happens to its guest when it is switched off."""
    counts, own = leaving.of_terminal(ports, terminal)
    return {"terminal": terminal, "on_power_off": str(counts), "own": own is not None}


@noun.put("/terminals/{terminal}/power", Shape(SeatPolicy, AS_IT_IS), guarded_by="power_of_terminal", cli="terminal power")
def set_terminal(ports: Ports, terminal: str, told: SeatPolicyTold) -> dict[str, Any]:
    """Its own policy, or that of its lab."""
    leaving.set_seat(ports, terminal, told.on_power_off)
    return of_terminal(ports, terminal)


@noun.get("/labs/{lab}/power", Shape(LabPower, AS_IT_IS), cli="lab power")
def of_lab(ports: Ports, lab: str) -> dict[str, Any]:
    """When its terminals are switched on and off by themselves, and what happens to guests whose terminals are switched off."""
    times = power_times.one(ports, lab)
    policy, seats = leaving.policies(ports, lab)
    return _told(times) | {"on_power_off": str(policy), "seats": {str(seat): str(own) for seat, own in sorted(seats.items())}}


@noun.patch("/labs/{lab}/power", Shape(LabPower, AS_IT_IS), guarded_by="power_of_lab", cli="lab power")
def change_lab(ports: Ports, lab: str, told: LabPowerChange) -> dict[str, Any]:
    """Change times and policy, all of it or nothing."""
    given = told.given()
    for name in ("on", "off"):
        if given.get(name) is not None:
            given[name] = parse_time(given[name], name)
    if "days" in given:
        given["days"] = parse_days(given["days"], "days")
    if given:
        power_times.change(ports, lab, **given)
    return of_lab(ports, lab)


def _told(times: PowerTimes) -> dict[str, Any]:
    return {
        "lab": times.lab,
        "on": _clock(times.on),
        "off": _clock(times.off),
        "days": days_text(times.days),
        "occupied": str(times.occupied),
        "grace_seconds": times.grace_seconds,
    }


def _clock(at: time | None) -> str | None:
    return at.isoformat("minutes") if at is not None else None
