# SPDX-License-Identifier: MIT
"""What a canary found: a sealed version was started without anybody in front of it, and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryStep:
    """One thing that was looked at ('it gets its lease', 'check test_office.py::test_writer'). `said` is what was seen or why not."""

    name: str
    ok: bool
    said: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The last trial of a version. `picture` is the name of a PNG in the canaries folder (empty: none was taken)."""

    image: str
    version: int
    profile: str
    at: datetime
    seconds: float
    steps: tuple[CanaryStep, ...]
    picture: str = ""
    log: str = ""
    """The last lines of the serial line and of the checks, at most 64 KiB."""

    @property
    def green(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    @property
    def why_red(self) -> str:
        """The first thing that was not well, as words; empty when all was."""
        bad = next((step for step in self.steps if not step.ok), None)
        return f"{bad.name}: {bad.said}" if bad else "" if self.steps else "nothing was looked at"
