# SPDX-License-Identifier: MIT
"""The verbs that may be spoken over the socket, with the types of what goes in and out: contracts.engine.EngineLink, spelled out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from labvirt.contracts.engine import Change, DisplayTicket, EngineStatus, PoolStatus, TemplateReport
from labvirt.domain.addresses import MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.findings import Finding
from labvirt.domain.guest import RunId
from labvirt.domain.lease import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """`takes` are the positional arguments' types; `seconds` is how long an answer may take."""

    takes: tuple[Any, ...] = ()
    gives: Any = None
    seconds: float = 30.0
    stream: bool = False
    """Many answers, one a line, until somebody goes away."""
    descriptor: bool = False
    """The answer is an open descriptor: it travels beside the line (SCM_RIGHTS, unix(7)), which says `null`."""


VERBS = {
    "status": Verb(gives=EngineStatus),
    "poke": Verb(),
    "watch": Verb(gives=Change, stream=True),
    "mint_display": Verb(takes=(str, IPv4Address), gives=DisplayTicket),
    "leases": Verb(takes=(str,), gives=tuple[Lease, ...]),
    "demand_seconds": Verb(takes=(str,), gives=float | None),
    "screenshot": Verb(takes=(str,), gives=bytes),
    "open_console": Verb(takes=(RunId, ConsoleKind), gives=int, descriptor=True),
    "reset": Verb(takes=(str,)),
    "command_line": Verb(takes=(str,), gives=tuple[str, ...]),
    "preview": Verb(takes=(str, str, int), gives=tuple[str, ...]),
    "wake": Verb(takes=(str, tuple[MacAddress, ...])),
    "in_front": Verb(takes=(str, int)),
    "verify": Verb(gives=tuple[Finding, ...], seconds=120.0),
    "templates": Verb(gives=TemplateReport),
    "pools": Verb(gives=tuple[PoolStatus, ...]),
    "freeze": Verb(takes=(str, str), seconds=900.0),
    "remove_template": Verb(takes=(str,)),
    "doctor": Verb(gives=tuple[Finding, ...], seconds=120.0),
}
