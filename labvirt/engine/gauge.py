# SPDX-License-Identifier: MIT
"""The host's load, looked at again and again: how many starts it bears now, and whether something went wrong because it was too much."""

from __future__ import annotations

import threading

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
        self._trouble = ""
        self._trouble_at = float("-inf")

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
                if why := bearing.trouble(strained) or bearing.busy(strained):
                    self._trouble, self._trouble_at = why, now
            self._bearing = known
        return load, known

    def now(self) -> Bearing | None:
        """As of the last look."""
        with self._lock:
            return self._bearing

    def excuse(self) -> str:
        """What the host was short of a moment ago, as a sentence without a full stop; empty when all was well."""
        with self._lock:
            return self._trouble if self._world.clock.monotonic() - self._trouble_at <= EXCUSE_SECONDS else ""
