# SPDX-License-Identifier: MIT
"""The host's load, looked at again and again: how many starts it bears now, and whether something went wrong because it was too much."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from labvirt.domain import bearing
from labvirt.domain.bearing import STALE_SECONDS, WINDOW_SECONDS, Bearing
from labvirt.domain.host import Host, HostLoad
from labvirt.engine.world import World

EXCUSE_SECONDS = 30.0
"""What goes wrong so soon after the host was seen to be short of something is put down to that."""


class Gauge:
    """`look` is called by the loop; the rest from any thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._bearing: Bearing | None = None
        self._last: tuple[float, HostLoad] | None = None
        self._trouble = _Seen()
        self._busy = _Seen()

    def look(self, host: Host, *, wanted: bool) -> tuple[HostLoad, Bearing]:
        """The load now, and what follows. `wanted`: all starts that there may be are going on, and somebody waits. Raises OSError."""
        load, now = self._world.machine.load(), self._world.clock.monotonic()
        bound = self._world.settings.starts_at_once or host.starts_at_once
        with self._lock:
            known = self._bearing or bearing.first(most=bound, cpus=load.cpus)
            known = known.bounded(bearing.most_of(bound, load.cpus))
            if self._last is None or now - self._last[0] > STALE_SECONDS:
                self._last = now, load
            elif (seconds := now - self._last[0]) >= WINDOW_SECONDS:
                strained = bearing.strain(self._last[1], load, seconds)
                known = known.after(strained, cpus=load.cpus, wanted=wanted, now=now)
                self._last = now, load
                if why := bearing.trouble(strained):
                    self._trouble = _Seen(why, now)
                if why := bearing.busy(strained):
                    self._busy = _Seen(why, now)
            self._bearing = known
        return load, known

    def now(self) -> Bearing | None:
        """As of the last look."""
        with self._lock:
            return self._bearing

    def excuse(self, *, slow: bool) -> str:
        """What the host was short of a moment ago, as a sentence without a full stop; empty when all was well. Busy processors make things
        `slow`, and nothing worse."""
        if self._killed():
            return bearing.NO_MEMORY_LEFT
        with self._lock:
            seen = (self._trouble, self._busy) if slow else (self._trouble,)
        since = self._world.clock.monotonic() - EXCUSE_SECONDS
        return next((each.why for each in seen if each.at >= since), "")

    def _killed(self) -> bool:
        """Since the last look: what has just ended may be what the kernel ended."""
        with self._lock:
            last = self._last
        try:
            return last is not None and bearing.killed(last[1], self._world.machine.load()) > 0
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class _Seen:
    why: str = ""
    at: float = float("-inf")
