# SPDX-License-Identifier: MIT
"""A terminal: one thin client at one seat; known by MAC, also by IP or a free string. And strangers that asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address

from labvirt.domain.addresses import LAST_SEAT, MacAddress
from labvirt.domain.names import check_name, check_terminal_id
from labvirt.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """`seat` is its number in the lab. `profile` overrides the lab's choice; `parameters` fill the %VAR%s of its class."""

    name: str
    lab: str
    seat: int
    mac: MacAddress | None = None
    inventory_id: str | None = None
    """A free string by which the terminal may ask instead of its MAC."""
    terminal_class: str = "spice"
    profile: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    active: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        check_name(self.lab, "lab")
        check_name(self.terminal_class, "terminal_class")
        if not 1 <= self.seat <= LAST_SEAT:
            raise InvalidInput("seat", f"must be 1 to {LAST_SEAT}")
        if self.inventory_id is not None:
            check_terminal_id(self.inventory_id, "inventory_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A terminal that asked and that nobody has adopted: it waits in the inbox.

    `code` is shown on its screen; an administrator types it to adopt. What it says of itself is only text.
    """

    id: str
    code: str
    mac: MacAddress | None
    address: IPv4Address | None
    first_seen: datetime
    last_seen: datetime
    asked: int = 1
    says: tuple[tuple[str, str], ...] = field(default=())


CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""No 0/O, 1/I: the code is read aloud from a screen. Six of them are 30 bits."""
CODE_LENGTH = 6


def check_code(value: str) -> str:
    """The enrolment code in its one spelling; raises InvalidInput for anything else."""
    code = value.strip().upper().replace("-", "")
    if len(code) != CODE_LENGTH or any(c not in CODE_LETTERS for c in code):
        raise InvalidInput("code", f"must be the {CODE_LENGTH} characters shown on the terminal's screen")
    return code
