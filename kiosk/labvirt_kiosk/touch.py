# SPDX-License-Identifier: MIT
"""When somebody last touched keyboard or mouse: the face knows it from the X server, and leaves it in the kiosk's folder for the heartbeat.

The clock is CLOCK_BOOTTIME: both are on one machine, and no wrong time of day disturbs it. The face counts only what came after its own
start: before that nobody has touched anything (the X server counts from its own start on).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

LONGEST_SECONDS = 3600
"""Longer ago is as good as never."""
AGAIN_SECONDS = 2.0
"""A person who types is noted so often."""


def now() -> float:
    """Seconds since this machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class TouchStore:
    """One number in a file of `folder`. A folder that cannot be written means that nobody is ever seen."""

    def __init__(self, folder: Path, clock: Callable[[], float] = now) -> None:
        self._path = folder / "touched"
        self._clock = clock
        self._noted = float("-inf")
        self._since = clock()

    def idle(self, milliseconds: int) -> None:
        """Nobody has touched anything for so long, says the X server (negative: it does not tell). Never raises."""
        at = self._clock() - milliseconds / 1000
        if milliseconds < 0 or at <= self._since or at - self._noted < AGAIN_SECONDS:
            return
        self._noted = at
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}.new")
        try:
            new.write_text(f"{at:.1f}\n", encoding="ascii")
            new.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)

    def seconds(self) -> int | None:
        """So long ago; None: not since this machine was started, or not known, or too long ago."""
        try:
            ago = self._clock() - float(self._path.read_text(encoding="ascii")[:32])
        except (OSError, ValueError):
            return None
        return int(ago) if 0 <= ago <= LONGEST_SECONDS else None
