# SPDX-License-Identifier: MIT
"""Who is in front of which terminal, as far as it was told: kept in memory, for a new engine hears it again within ten seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from labvirt.domain.addresses import MacAddress
from labvirt.domain.attendance import TOUCHED_SECONDS, WOKEN_SECONDS, attendance, rank
from labvirt.domain.guest import Guest
from labvirt.engine.observe import Wishes
from labvirt.engine.world import World
from labvirt.errors import DatabaseError

K = TypeVar("K")

MOST = 10_000
"""So many are remembered: more terminals than that have one controller too few."""


class Attending:
    """`touched` and `woken` come from any thread, `learn` and `rank` from the loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._touched: dict[str, float] = {}
        self._woken: dict[MacAddress, float] = {}
        self._heard: dict[str, float] = {}
        self._macs: dict[str, MacAddress] = {}

    def touched(self, guest: str, seconds_ago: float) -> None:
        """A key or the mouse of this guest's terminal, it says."""
        now = self._world.clock.monotonic()
        with self._lock:
            self._touched = _recent(self._touched, now - TOUCHED_SECONDS)
            self._touched[guest] = max(self._touched.get(guest, float("-inf")), now - max(0.0, seconds_ago))

    def woken(self, macs: Iterable[MacAddress]) -> None:
        """Magic packets went out to these."""
        now = self._world.clock.monotonic()
        with self._lock:
            self._woken = _recent(self._woken, now - WOKEN_SECONDS)
            self._woken.update(dict.fromkeys(macs, now))

    def learn(self, wishes: Wishes) -> None:
        """When the terminals were heard, read anew. Called while somebody waits."""
        clock = self._world.clock
        try:
            with self._world.database.read() as work:
                beats = work.heartbeats.list()
        except DatabaseError:
            return  # the order is as it was
        wall, now = clock.now(), clock.monotonic()
        self._heard = {beat.terminal: now - (wall - beat.at).total_seconds() for beat in beats}
        self._macs = {terminal.name: terminal.mac for terminal in wishes.terminals if terminal.mac is not None}

    def rank(self) -> Callable[[Guest], int]:
        """As things are now: whose turn comes before whose (domain.attendance)."""
        clock = self._world.clock
        now, wall = clock.monotonic(), clock.now()
        with self._lock:
            touched, woken = dict(self._touched), dict(self._woken)

        def ago(at: float | None) -> float | None:
            return None if at is None else now - at

        def of(guest: Guest) -> int:
            mac = self._macs.get(guest.terminal) if guest.terminal else None
            attended = attendance(
                guest,
                touched=ago(touched.get(guest.name)),
                woken=ago(woken.get(mac)) if mac is not None else None,
                heard=ago(self._heard.get(guest.terminal)) if guest.terminal else None,
            )
            return rank(attended, (wall - (guest.asked_at or guest.since)).total_seconds())

        return of


def _recent(known: dict[K, float], since: float) -> dict[K, float]:
    """Without what is too old; nothing at all when there is too much."""
    kept = {key: at for key, at in known.items() if at >= since}
    return kept if len(kept) < MOST else {}
