# SPDX-License-Identifier: MIT
"""How often may be guessed at the door. Nobody can keep somebody else out: what is counted always belongs to a source as well."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from labvirt.usecases.pace import Pace

TRIES, TRIES_SECONDS = 10, 60.0
"""From one source, whatever the name."""
NAME_TRIES = 5
"""From one source for one name."""
ATTACKED, ATTACKED_SECONDS = 20, 600.0
"""A name that was tried so often from anywhere is under attack: each source has then CALM_TRIES for it a minute. Who knows the password and
comes from an address of their own gets in at once all the same."""
CALM_TRIES = 2


class Attempts:
    """Safe from any thread. In memory: a restart forgets, which the cost of a hash makes up for."""

    def __init__(self) -> None:
        self._sources = Pace(TRIES, TRIES_SECONDS)
        self._pairs = Pace(NAME_TRIES, TRIES_SECONDS)
        self._calm = Pace(CALM_TRIES, TRIES_SECONDS)
        self._names = Pace(ATTACKED, ATTACKED_SECONDS)

    def step(self, source: str, name: str, now: float) -> None:
        """Call before a password, a code or a token is checked. Raises TooManyRequests."""
        where = network_of(source)
        self._sources.step(where, "The door", now)
        if name:
            self._pairs.step(f"{where} {name}", "The door", now)
            if not self._names.has_room(name, now):
                self._calm.step(f"{where} {name}", "The door", now)

    def failed(self, name: str, now: float) -> None:
        """It was wrong."""
        if name and self._names.has_room(name, now):
            self._names.step(name, "The door", now)

    def succeeded(self, source: str, name: str) -> None:
        """It was right: this source starts anew."""
        where = network_of(source)
        self._sources.forget(where)
        self._pairs.forget(f"{where} {name}")
        self._calm.forget(f"{where} {name}")


def network_of(source: str) -> str:
    """One customer's addresses count as one: an IPv6 /64."""
    try:
        found = ip_address(source)
    except ValueError:
        return source
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)
