# SPDX-License-Identifier: MIT
"""What stands for guest ports and viewers: read from the kernel once, and then known for as long as nobody else changes anything.

The kernel counts the transactions of a network namespace: one more for each that changed something, whoever made it (count.py). As long as
the count is ours, what we remember stands; else it is read again. So one port costs the same among ten and among a thousand others (B8),
and the kernel stays the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any, Protocol, TypeVar

from labvirt.domain.addresses import InterfaceName
from labvirt.network.nftables import listing, rules
from labvirt.network.nftables.count import count, following
from labvirt.network.nftables.expressions import Command
from labvirt.network.nftables.ruleset import BRIDGE, INET, TABLE

Key = TypeVar("Key")
Value = TypeVar("Value")
Door = tuple[IPv4Address, int]
"""A gateway and a display port."""


class Filter(Protocol):
    """What runs transactions and lists sets (doer.Nft)."""

    def run(self, commands: list[Command], *, operation: str, subject: str = "") -> None: ...

    def read(self, *what: dict[str, Any], operation: str) -> list[dict[str, Any]]: ...


class Known:
    """Not for several threads at once: whoever changes ports has a lock already. Raises NetworkError, HostNotReady."""

    def __init__(self, nft: Filter) -> None:
        self._nft = nft
        self._count: int | None = None
        self._ports: dict[str, rules.Elements] = {}
        self._grants: dict[Door, list[rules.Grant]] = {}

    def port(self, tap: InterfaceName) -> rules.Elements:
        """What lets this port speak; empty: it is closed."""
        self._look()
        return self._ports.get(str(tap), {})

    def grants(self, gateway: IPv4Address, port: int) -> list[rules.Grant]:
        """Who may open this display port."""
        self._look()
        return self._grants.get((gateway, port), [])

    def set_port(self, tap: InterfaceName, elements: rules.Elements, commands: list[Command], *, operation: str) -> None:
        """These commands are done (one transaction), after which the port has exactly these elements."""
        self._run(commands, lambda: _put(self._ports, str(tap), elements), operation, str(tap))

    def set_grants(self, door: Door, grants: list[rules.Grant], commands: list[Command], *, operation: str, subject: str) -> None:
        """These commands are done, after which exactly these may open the display port."""
        self._run(commands, lambda: _put(self._grants, door, grants), operation, subject)

    def _run(self, commands: list[Command], learn: Callable[[], None], operation: str, subject: str) -> None:
        if not commands:
            return
        known, self._count = self._count, None
        self._nft.run(commands, operation=operation, subject=subject)
        if known is not None and count() == following(known):  # ours, and nobody's between what we knew and now
            learn()
            self._count = following(known)

    def _look(self) -> None:
        now = count()
        if now == self._count:
            return
        named = ((BRIDGE, "macs"), (BRIDGE, "ports"), (INET, "granted"))
        sets = [{"set": {"family": family, "table": TABLE, "name": name}} for family, name in named]
        found = listing.parse(self._nft.read(*sets, operation="list"))
        self._ports, self._grants = rules.by_port(found.elements), {}
        for grant in found.grants:
            self._grants.setdefault((grant.gateway, grant.port), []).append(grant)
        self._count = now  # as it was before: whoever came in between makes us look again


def _put(known: dict[Key, Value], key: Key, value: Value) -> None:
    if value:
        known[key] = value
    else:
        known.pop(key, None)
