# SPDX-License-Identifier: MIT
"""Time as an argument: wall clock for people, monotonic for waiting."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, UTC. Only for display and records; it may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; for deadlines and ages."""
