# SPDX-License-Identifier: MIT
"""/terminals: the thin clients, each at its seat."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field

from labvirt import shapes
from labvirt.domain.addresses import MacAddress
from labvirt.domain.boot import Boot, Part
from labvirt.domain.findings import Finding
from labvirt.domain.hardware import Hardware
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import check_parameter
from labvirt.usecases import boots, hardware, terminals, waking
from labvirt.usecases.boots import BootView
from labvirt.usecases.hardware import HardwareView
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Answered, Name, Seat, Shape, Text, Told, model_of, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("terminals", "The thin clients, each at its seat.")

TERMINAL = shape(Terminal, shapes.terminal, name="TerminalTold", without=("parameters",), parameters=dict[str, str])
TERMINALS = Many(
    TERMINAL,
    key=lambda each: each.name,
    sorts={"lab": lambda each: each.lab, "seat": lambda each: each.seat, "mac": lambda each: str(each.mac)},
)

_FINDING = model_of(Finding)
_SAID = shape(Hardware, name="HardwareTold", at=str, since=str).model


class HardwareOfTerminal(Answered):
    """What a terminal says of its machine; null until it has said."""

    terminal: str
    seat: int
    mac: str | None
    hardware: _SAID | None  # type: ignore[valid-type]
    findings: list[_FINDING]  # type: ignore[valid-type]


HARDWARE = Shape(HardwareOfTerminal, lambda ports, each: shapes.hardware(each))

_BOOT = shape(Boot, name="BootTold", without=("phases", "own"), phases=dict[str, int], own=dict[str, int], fetched_bytes=int | None).model
_PART = shape(Part, name="BootPart", ms=int).model


class BootOfTerminal(Answered):
    """One start of a terminal in its parts."""

    terminal: str
    boot: _BOOT | None  # type: ignore[valid-type]
    total_ms: int | None = None
    biggest: str | None = None
    parts: list[_PART] = []  # type: ignore[valid-type]


BOOT = Shape(BootOfTerminal, lambda ports, each: shapes.boot(each))


class TerminalChange(Told):
    """Fields of a terminal. Null forgets one that may be missing."""

    lab: Name = ""
    seat: Seat = 1
    mac: Annotated[str, Field(max_length=17)] | None = None
    inventory_id: Annotated[str, Field(max_length=64)] | None = None
    terminal_class: Name = "spice"
    profile: Name | None = None
    parameters: Annotated[dict[str, str], Field(max_length=64, description="All its parameters anew: they fill %NAME% of its class.")] = {}
    active: bool = True
    note: Text = ""

    def fields(self) -> dict[str, Any]:
        """As the use cases take them. Raises InvalidInput."""
        given = self.given()
        if given.get("mac") is not None:
            given["mac"] = MacAddress.parse(given["mac"], "mac")
        if "parameters" in given:
            given["parameters"] = tuple(sorted(check_parameter(key, value, "parameters") for key, value in given["parameters"].items()))
        return given


class TerminalNew(TerminalChange):
    """A terminal that is known beforehand."""

    lab: Name
    name: Name | None = None
    seat: Seat | None = None  # type: ignore[assignment]


class Wanted(Paged):
    """Which terminals."""

    lab: Annotated[str, Field(max_length=64, description="Only of this lab.")] = ""


@noun.get("/terminals", TERMINALS, cli="terminal list")
def list_(ports: Ports, asked: Wanted) -> tuple[Terminal, ...]:
    """All terminals."""
    return terminals.everything(ports, asked.lab or None)


@noun.get("/terminals/{terminal}", TERMINAL, cli="terminal show")
def show(ports: Ports, terminal: str) -> Terminal:
    """One terminal."""
    return terminals.one(ports, terminal)


@noun.post("/terminals", TERMINAL, status=HTTPStatus.CREATED, cli="terminal add")
def add(ports: Ports, told: TerminalNew) -> Terminal:
    """Register a terminal that is known beforehand; `adopt` is for one that has asked."""
    return terminals.add(ports, **told.fields())


@noun.patch("/terminals/{terminal}", TERMINAL, guarded_by="terminals_show", cli="terminal set")
def change(ports: Ports, terminal: str, told: TerminalChange) -> Terminal:
    """Change a terminal."""
    return terminals.change(ports, terminal, **told.fields())


@noun.delete("/terminals/{terminal}", guarded_by="terminals_show", cli="terminal remove")
def remove(ports: Ports, terminal: str) -> None:
    """Forget a terminal; it lands in the inbox when it asks again."""
    terminals.remove(ports, terminal)


@noun.get("/terminals/{terminal}/hardware", HARDWARE, cli="terminal show")
def hardware_of(ports: Ports, terminal: str) -> HardwareView:
    """What it says of its machine, and what is poor about it."""
    return hardware.one(ports, terminal)


@noun.get(
    "/terminals/{terminal}/boots",
    Many(BOOT, key=lambda each: (str(each.boot.at), each.boot.boot_id), newest_first=True),
    cli="terminal boots",
)
def boots_of(ports: Ports, terminal: str, asked: Paged) -> tuple[BootView, ...]:
    """How long its last starts took, and what took longest; the newest first."""
    return tuple(each for each in boots.of_terminal(ports, terminal) if each.boot is not None)


@noun.post("/terminals/{terminal}/wake", TERMINAL, cli="terminal wake", needs_engine=True)
def wake(ports: Ports, terminal: str) -> Terminal:
    """Switch it on over the network (Wake-on-LAN). Its firmware must allow that."""
    return waking.wake(ports, terminal, by=ports.caller.name)
