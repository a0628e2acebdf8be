# SPDX-License-Identifier: MIT
"""/labs: labs, and what is done to all seats of one."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field

from labvirt import shapes
from labvirt.contracts.dhcp import DhcpForm
from labvirt.domain.guest import Guest
from labvirt.domain.lab import DhcpMode, Lab, OnLeave
from labvirt.usecases import boots, campus_dhcp, hardware, labs, messages, power, waking
from labvirt.usecases.boots import LabBoots
from labvirt.usecases.campus_dhcp import CampusSettings
from labvirt.usecases.hardware import HardwareView
from labvirt.usecases.ports import Ports
from labvirt.usecases.waking import Woken
from labvirt.web.api.guests import GUEST, MESSAGES, Saying, Stopping
from labvirt.web.api.model import Answered, Asked, Name, Shape, Text, Told, Whole, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged
from labvirt.web.api.terminals import BOOT, HARDWARE, TERMINAL

noun = Noun("labs", "Groups of terminals that share profiles and a network.")

LAB = shape(Lab, shapes.lab, name="LabTold", without=("mac_prefix",), mac_prefix=str, bridge=str, gateway=str, capacity=int)
LABS = Many(LAB, key=lambda each: each.name)
GUESTS = Many(GUEST, key=lambda each: each.name)
DHCP = shape(CampusSettings)


class LabBootsTold(Answered):
    """How long the last starts of a lab's terminals took."""

    lab: str
    boots: int
    parts: list[Any]
    last: list[BOOT.model]  # type: ignore[name-defined]


LAB_BOOTS = Shape(LabBootsTold, lambda ports, each: shapes.lab_boots(each))


class WokenTold(Answered):
    """Which terminals were sent a magic packet, and which have no MAC address."""

    woken: list[TERMINAL.model]  # type: ignore[name-defined]
    unknown: list[TERMINAL.model]  # type: ignore[name-defined]


WOKEN = Shape(
    WokenTold,
    lambda ports, each: {
        "woken": [shapes.terminal(one) for one in each.terminals],
        "unknown": [shapes.terminal(one) for one in each.unknown],
    },
)


class LabChange(Told):
    """Fields of a lab."""

    max_instances: Whole = 1
    start_instances: Whole = 0
    on_leave: OnLeave = OnLeave.KEEP
    leave_grace_seconds: Whole = 60
    domain: Annotated[str, Field(max_length=190)] = "labvirt.internal"
    dhcp: DhcpMode = DhcpMode.OWN
    note: Text = ""
    network: Annotated[str, Field(max_length=40, description="Only while none of its guests lives.")] = ""


class LabNew(LabChange):
    """A new lab; its MAC addresses are allocated."""

    name: Name
    network: Annotated[str, Field(max_length=40, description="Its private IPv4 network, /18 to /26, like 10.77.0.0/24.")]


class Form(Asked):
    """For which server."""

    form: DhcpForm


class Then(StrEnum):
    """What guests come to when the lesson ends."""

    FRESH = "fresh"
    STOP = "stop"


class Ending(Told):
    """When the lesson ends."""

    minutes: Annotated[int, Field(ge=1, le=1440, description="From now.")]
    then: Then = Then.FRESH


@noun.get("/labs", LABS, cli="lab list")
def list_(ports: Ports, asked: Paged) -> tuple[Lab, ...]:
    """All labs."""
    return labs.everything(ports)


@noun.get("/labs/{lab}", LAB, cli="lab show")
def show(ports: Ports, lab: str) -> Lab:
    """One lab."""
    return labs.one(ports, lab)


@noun.post("/labs", LAB, status=HTTPStatus.CREATED, cli="lab add")
def add(ports: Ports, told: LabNew) -> Lab:
    """A new lab; its MAC addresses are allocated."""
    given = told.given() | {"network": labs.parse_network(told.network)}
    return labs.add(ports, mac_prefix=ports.limits.mac_prefix, **given)


@noun.patch("/labs/{lab}", LAB, guarded_by="labs_show", cli="lab set")
def change(ports: Ports, lab: str, told: LabChange) -> Lab:
    """Change a lab."""
    given = told.given()
    if "network" in given:
        given["network"] = labs.parse_network(given["network"])
    return labs.change(ports, lab, **given)


@noun.delete("/labs/{lab}", guarded_by="labs_show", cli="lab remove")
def remove(ports: Ports, lab: str) -> None:
    """Remove a lab without terminals and living guests."""
    labs.remove(ports, lab)


@noun.get("/labs/{lab}/dhcp", DHCP, cli="lab dhcp")
def dhcp(ports: Ports, lab: str, asked: Form) -> CampusSettings:
    """The settings that a DHCP server of the campus needs for this lab."""
    return campus_dhcp.settings(ports, lab, asked.form)


@noun.post("/labs/{lab}/start", GUESTS, cli="lab start")
def start(ports: Ports, lab: str) -> tuple[Guest, ...]:
    """Start the guests of all its active terminals."""
    return power.start_lab(ports, lab)


@noun.post("/labs/{lab}/stop", GUESTS, cli="lab stop")
def stop(ports: Ports, lab: str, told: Stopping) -> tuple[Guest, ...]:
    """Stop all its guests."""
    return power.stop_lab(ports, lab, told.how)


@noun.post("/labs/{lab}/end", GUESTS, cli="lab end")
def end(ports: Ports, lab: str, told: Ending) -> tuple[Guest, ...]:
    """End the lesson at a time that everybody hears: now, and again 5 minutes and 1 minute before."""
    at = ports.clock.now() + timedelta(minutes=told.minutes)
    return messages.end_lesson(ports, lab, at, fresh=told.then is Then.FRESH, by=ports.caller.name)


@noun.delete("/labs/{lab}/end", GUESTS, cli="lab end")
def call_off_end(ports: Ports, lab: str) -> tuple[Guest, ...]:
    """The lesson goes on after all."""
    return messages.call_off_end(ports, lab, by=ports.caller.name)


@noun.post("/labs/{lab}/messages", MESSAGES, cli="guest tell")
def tell(ports: Ports, lab: str, told: Saying) -> tuple[Any, ...]:
    """Show a sentence to everybody in this lab, over the desktop."""
    return messages.tell_lab(ports, lab, told.sentence, minutes=told.minutes, by=ports.caller.name)


@noun.get("/labs/{lab}/boots", LAB_BOOTS, cli="lab boots")
def boots_of(ports: Ports, lab: str) -> LabBoots:
    """How long its terminals' last starts took: median and worst of each part."""
    return boots.of_lab(ports, lab)


@noun.get("/labs/{lab}/hardware", Many(HARDWARE, key=lambda each: each.terminal.name), cli="lab hardware")
def hardware_of(ports: Ports, lab: str, asked: Paged) -> tuple[HardwareView, ...]:
    """What its terminals say of their machines, and what is poor about them."""
    return hardware.of_lab(ports, lab)


@noun.post("/labs/{lab}/wake", WOKEN, cli="lab wake")
def wake(ports: Ports, lab: str) -> Woken:
    """Switch all its active terminals on over the network (Wake-on-LAN)."""
    return waking.wake_lab(ports, lab, by=ports.caller.name)
