# SPDX-License-Identifier: MIT
"""Kept overlays: what a guest had written when its run ended, kept for a while in case somebody says 'oops'."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The overlays of one ended run. `used_bytes` is what they really occupy; `why` says how the run ended; `source` is the kept run
    that it continued (a rescue), on whose overlays its own stand."""

    run: RunId
    profile: str
    disks: tuple[DiskChoice, ...]
    ended_at: datetime
    why: str = ""
    terminal: str = ""
    used_bytes: int = 0
    source: RunId | None = None


def to_forget(kept: Iterable[Kept], now: datetime, *, hours: float, budget_bytes: int) -> tuple[Kept, ...]:
    """Those that go now: older than `hours`, then the oldest until the rest fits the budget. Pure."""
    ordered = sorted(kept, key=lambda each: (each.ended_at, each.run))
    going = [each for each in ordered if now - each.ended_at > timedelta(hours=hours)]
    staying = [each for each in ordered if each not in going]
    total = sum(each.used_bytes for each in staying)
    for each in staying:
        if total <= budget_bytes:
            break
        going.append(each)
        total -= each.used_bytes
    return tuple(going)
