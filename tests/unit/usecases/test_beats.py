# SPDX-License-Identifier: MIT
"""Heartbeats share transactions, the newest counts, and what cannot be kept harms no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from labvirt.contracts.database import Heartbeat, UnitOfWork
from labvirt.domain.addresses import MacAddress
from labvirt.errors import DatabaseError, NotFound
from labvirt.usecases import beats, terminals
from tests.unit.usecases.conftest import Site

PATIENCE_SECONDS = 60


class Watched:
    """A database that counts its write transactions, and refuses them when it is told to."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.writes = 0
        self.refuses = False
        self.ended = threading.Condition()

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        try:
            if self.refuses:
                raise DatabaseError("no")
            with self._inner.write() as work:
                yield work
        finally:
            with self.ended:
                self.writes += 1
                self.ended.notify_all()

    def until(self, writes: int) -> None:
        with self.ended:
            assert self.ended.wait_for(lambda: self.writes >= writes, PATIENCE_SECONDS)


@pytest.fixture
def watched(site: Site) -> Watched:
    for seat in range(2, 6):
        terminals.add(site.ports, lab="lab-a", seat=seat, mac=MacAddress(0x525400000100 + seat))
    return Watched(site.ports.database)


def said(site: Site) -> dict[str, str]:
    with site.ports.database.read() as work:
        return {beat.terminal: beat.viewer for beat in work.heartbeats.list()}


def beat(site: Site, terminal: str, viewer: str = "running") -> Heartbeat:
    return Heartbeat(terminal=terminal, at=site.ports.clock.now(), viewer=viewer)


def test_the_first_is_kept_at_once_and_the_rest_of_the_second_together(site: Site, watched: Watched) -> None:
    basket = beats.Beats()
    basket.put(watched, beat(site, "pc-01", "starting"))  # type: ignore[arg-type]
    assert said(site) == {"pc-01": "starting"}
    with site.ports.database.read() as work:
        others = [each.name for each in work.terminals.list() if each.name != "pc-01"]
    for name in ("pc-01", *others):
        for viewer in ("starting", "running"):
            basket.put(watched, beat(site, name, viewer))  # type: ignore[arg-type]
    watched.until(2)
    assert said(site) == dict.fromkeys(("pc-01", *others), "running")
    assert watched.writes == 2


def test_what_cannot_be_kept_harms_no_other(site: Site, watched: Watched) -> None:
    basket = beats.Beats()
    with pytest.raises(NotFound):
        basket.put(watched, beat(site, "gone"))  # type: ignore[arg-type]
    for name in ("gone", "pc-01"):
        basket.put(watched, beat(site, name))  # type: ignore[arg-type]
    watched.until(2)
    assert said(site) == {"pc-01": "running"}
    watched.refuses = True
    basket.put(watched, beat(site, "pc-01", "none"))  # type: ignore[arg-type]
    watched.until(3)
    assert said(site) == {"pc-01": "running"}
    watched.refuses = False
    basket.put(watched, replace(beat(site, "pc-01"), viewer="ended"))  # type: ignore[arg-type]
    watched.until(4)
    assert said(site) == {"pc-01": "ended"}
