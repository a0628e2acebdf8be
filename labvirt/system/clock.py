# SPDX-License-Identifier: MIT
"""The machine's clocks, in the form of contracts.clock.Clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Keeps contracts.clock.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
