# SPDX-License-Identifier: MIT
"""A heartbeat may lean on what DHCP said a moment ago, a ticket never."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from labvirt.errors import EngineAway, NotAllowed
from labvirt.usecases import asking, leased
from tests.unit.usecases.conftest import MAC, OWN, Site

OTHER = IPv4Address("10.77.0.66")


class Counted:
    """The engine's leases, and how often they were fetched."""

    def __init__(self, site: Site) -> None:
        self._engine = site.engine
        self.fetched = 0

    def leases(self, lab: str) -> object:
        self.fetched += 1
        return self._engine.leases(lab)


def test_a_yes_is_remembered_for_seconds_and_a_no_never(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    engine, memory = Counted(site), leased.Leased()

    def held(address: IPv4Address, at: float) -> bool:
        return memory.held(engine, "lab-a", address, MAC, site.ports.clock.now(), at)  # type: ignore[arg-type]

    assert [held(OWN, 100.0), held(OWN, 104.0)] == [True, True]
    assert engine.fetched == 1
    assert [held(OTHER, 104.0), held(OTHER, 104.0)] == [False, False]
    assert engine.fetched == 3
    assert held(OWN, 104.0 + leased.SECONDS + 1)
    assert engine.fetched == 4
    site.engine.given.clear()
    assert held(OWN, 111.0)
    assert not held(OWN, 200.0)


def test_an_engine_that_is_away_ends_the_memory(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    asking.heartbeat(site.ports, None, OWN, viewer="running")
    site.engine.away = True
    asking.heartbeat(site.ports, None, OWN, viewer="running")
    site.clock.go(leased.SECONDS + 1)
    for _ in range(2):
        with pytest.raises(EngineAway):
            asking.heartbeat(site.ports, None, OWN, viewer="running")


def test_a_lease_that_went_ends_tickets_at_once(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    asking.heartbeat(site.ports, None, OWN, viewer="running")
    site.engine.given.clear()
    asking.heartbeat(site.ports, None, OWN, viewer="running")
    with pytest.raises(NotAllowed):
        asking.ticket(site.ports, None, OWN)


def test_who_only_looks_hears_what_was_told_some_seconds_ago(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    engine, memory = Counted(site), leased.Leased()
    first = memory.seen(engine, "lab-a", 100.0)  # type: ignore[arg-type]
    site.engine.given.clear()
    assert memory.seen(engine, "lab-a", 101.0) == first != ()  # type: ignore[arg-type]
    assert engine.fetched == 1
    assert memory.seen(engine, "lab-a", 100.0 + leased.SECONDS + 0.1) == ()  # type: ignore[arg-type]
    site.engine.away = True
    with pytest.raises(EngineAway):
        memory.seen(engine, "lab-a", 200.0)  # type: ignore[arg-type]
