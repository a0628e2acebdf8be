# SPDX-License-Identifier: MIT
"""How often something may be done: at most `limit` times in any `seconds`, counted per key in memory."""

from __future__ import annotations

import math
import threading
from collections import deque

from labvirt.errors import TooManyRequests

KEYS_AT_MOST = 10_000


class Pace:
    """Safe from any thread. Time is handed in (monotonic seconds)."""

    def __init__(self, limit: int = 10, seconds: float = 60.0) -> None:
        self._limit = limit
        self._seconds = seconds
        self._times: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def step(self, key: str, what: str, now: float) -> None:
        """Count one; raises TooManyRequests, naming `what`, instead of counting one too many."""
        with self._lock:
            if key not in self._times and len(self._times) >= KEYS_AT_MOST:
                self._forget(now)
            times = self._times.setdefault(key, deque())
            while times and times[0] <= now - self._seconds:
                times.popleft()
            if len(times) >= self._limit:
                raise TooManyRequests(what, max(1, math.ceil(times[0] + self._seconds - now)))
            times.append(now)

    def has_room(self, key: str, now: float) -> bool:
        """Would one more be counted?"""
        with self._lock:
            return sum(time > now - self._seconds for time in self._times.get(key, ())) < self._limit

    def forget(self, key: str) -> None:
        """Nothing was counted for this key."""
        with self._lock:
            self._times.pop(key, None)

    def _forget(self, now: float) -> None:
        old = now - self._seconds
        self._times = {key: times for key, times in self._times.items() if times and times[-1] > old}
