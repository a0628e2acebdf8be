# SPDX-License-Identifier: MIT
"""How long to wait before trying again: 1, 2, 4 ... 60 seconds, each a little different from terminal to terminal."""

from __future__ import annotations

import random
from collections.abc import Callable

LONGEST_SECONDS = 60.0
JITTER = 0.2  # 40 terminals that fell over together must not come back together


class Backoff:
    """Grows at each call of `next_seconds`, starts anew after `reset`."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._seconds = 1.0
        self.longest_seconds = LONGEST_SECONDS
        """No pause is longer; may be changed at any time."""

    def next_seconds(self, at_least: float | None = None) -> float:
        """The next pause, at most `longest_seconds`; `at_least` is what the controller asked for."""
        pause = self._seconds * self._uniform(1 - JITTER, 1 + JITTER)
        self._seconds = min(self._seconds * 2, self.longest_seconds)
        return min(max(pause, at_least or 0.0), self.longest_seconds)

    def reset(self) -> None:
        self._seconds = 1.0
