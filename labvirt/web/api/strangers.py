# SPDX-License-Identifier: MIT
"""/strangers: terminals that nobody has adopted yet."""

from __future__ import annotations

from labvirt.domain.terminal import Stranger, Terminal
from labvirt.usecases import enrol
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Name, Seat, Text, Told, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged
from labvirt.web.api.terminals import TERMINAL

noun = Noun("strangers", "Terminals that asked and that nobody knows.")


class Adoption(Told):
    """Where a stranger stands from now on."""

    lab: Name
    seat: Seat | None = None
    name: Name | None = None
    terminal_class: Name = "spice"
    profile: Name | None = None
    note: Text = ""


@noun.get("/strangers", Many(shape(Stranger), key=lambda each: each.id), cli="terminal inbox")
def list_(ports: Ports, asked: Paged) -> tuple[Stranger, ...]:
    """Terminals that asked and that nobody knows."""
    return enrol.strangers(ports)


@noun.post("/strangers/{code}/adopt", TERMINAL, cli="terminal adopt")
def adopt(ports: Ports, code: str, told: Adoption) -> Terminal:
    """Take a terminal from the inbox by the code on its screen, its MAC or its id."""
    return enrol.adopt(ports, code, **told.given())


@noun.delete("/strangers/{code}", cli="terminal dismiss")
def dismiss(ports: Ports, code: str) -> None:
    """Take a stranger out of the inbox without adopting it."""
    enrol.dismiss(ports, code)
