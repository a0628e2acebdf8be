# SPDX-License-Identifier: MIT
"""What this process saw terminals do lately: enough to put the controller's own moments beside what a terminal says of its boot."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime

KEPT = 64
"""Moments of one kind and terminal: questions come at least every 25 s, so these reach 26 minutes back."""


class Witness:
    """Safe from any thread. Holds at most 64 moments for each kind and terminal, and is asked only about known terminals."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moments: dict[tuple[str, str], deque[datetime]] = {}

    def saw(self, terminal: str, what: str, at: datetime) -> None:
        with self._lock:
            self._moments.setdefault((terminal, what), deque(maxlen=KEPT)).append(at)

    def first_since(self, terminal: str, what: str, since: datetime) -> datetime | None:
        """The first such moment from `since` on; None when none was seen, or when older ones were forgotten since."""
        with self._lock:
            moments = tuple(self._moments.get((terminal, what), ()))
        if len(moments) == KEPT and moments[0] > since:
            return None  # the first one may be among those that are forgotten
        return next((at for at in moments if at >= since), None)
