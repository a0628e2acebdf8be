# SPDX-License-Identifier: MIT
"""What reaches the engine of who is in front of a terminal whose guest waits; and what it hears when too many ask at once."""

from __future__ import annotations

import sqlite3

from labvirt.domain.answer import Status
from labvirt.domain.guest import GuestState
from labvirt.usecases import asking
from tests.unit.usecases.conftest import MAC, OWN, Site


def beat(site: Site, touched: int | None) -> list[tuple[str, ...]]:
    """What the engine heard of it."""
    before = len(site.engine.asked)
    asking.heartbeat(site.ports, str(MAC), OWN, viewer="none", touched_seconds=touched)
    return [words for words in site.engine.asked[before:] if words[0] == "in_front"]


def test_a_touched_terminal_whose_guest_waits_is_told_to_the_engine(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    assert beat(site, 3) == []  # it has no guest yet
    asking.ask(site.ports, str(MAC), OWN)
    assert beat(site, None) == []
    assert beat(site, 3) == [("in_front", "lab-a-01", "3")]
    assert beat(site, 300) == []  # he has gone again
    site.move(GuestState.STARTING, name="lab-a-01")
    assert beat(site, 0) == [("in_front", "lab-a-01", "0")]
    site.move(GuestState.RUNNING, name="lab-a-01")
    assert beat(site, 0) == []  # it is there


def test_a_heartbeat_is_taken_also_while_the_engine_is_away(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    asking.ask(site.ports, str(MAC), OWN)
    assert beat(site, 1) == [("in_front", "lab-a-01", "1")]
    site.engine.away = True
    asking.heartbeat(site.ports, str(MAC), OWN, viewer="none", touched_seconds=1)
    with site.ports.database.read() as work:
        assert [each.terminal for each in work.heartbeats.list()] == ["pc-01"]


def test_a_database_that_is_busy_is_no_error_for_who_asks(site: Site) -> None:
    with sqlite3.connect(site.root / "labvirt.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = asking.ask(site.ports, str(MAC), OWN)
        assert (asked.answer.status, asked.answer.retry_seconds, asked.guest) == (Status.STARTING, 2, None)
        assert site.guest() is None
        other.execute("ROLLBACK")
    other.close()
    assert asking.ask(site.ports, str(MAC), OWN).answer.status is Status.STARTING
    assert site.guest() is not None  # the question after that was written down
