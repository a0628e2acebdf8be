# SPDX-License-Identifier: MIT
"""How long guests of a profile take to start, as measured: what the person who waits is told."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.guest import Guest, GuestState
from labvirt.domain.profile import Profile

FRESH_SECONDS = 5.0
"""So long a median counts: while a whole lab starts, its guests are read once in that time."""
LAST = 15
"""Of so many starts, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    medians: dict[str, float]
    at: float


class StartTimes:
    """Safe from any thread. `monotonic` is in seconds."""

    def __init__(self) -> None:
        self._known: _Known | None = None
        self._lock = threading.Lock()

    def rest(self, work: UnitOfWork, guest: Guest | None, profile: Profile | None, now: datetime, monotonic: float) -> int | None:
        """Seconds until this guest is likely to be ready: the median start of its profile's guests, less what has passed (0: any
        moment). One that waits for its turn: as the engine has told its place (engine/queue.py). None when there is nothing to go by: no
        start was measured, or nobody knows how long it will wait."""
        if guest is not None and guest.state is GuestState.WANTED and guest.reason:
            return told_seconds(guest.reason)
        if profile is None or (guest is not None and guest.state not in (GuestState.WANTED, GuestState.STARTING)):
            return None
        whole = self._medians(work, monotonic).get(profile.name)
        if whole is None:
            return None
        if guest is None or guest.state is GuestState.WANTED:
            return max(1, round(whole))
        if guest.started_at is None:
            return None
        return max(0, round(whole - (now - guest.started_at).total_seconds()))

    def _medians(self, work: UnitOfWork, monotonic: float) -> dict[str, float]:
        with self._lock:
            known = self._known
            if known is None or monotonic - known.at > FRESH_SECONDS:
                known = self._known = _Known(medians=medians(work.guests.list()), at=monotonic)
            return known.medians


_TOLD = re.compile(r"place \d+(?: or before)?, (?:at most )?about (\d+) (s|min)\Z")


def told_seconds(reason: str) -> int | None:
    """The time in what a guest is told that waits for its turn; None where there is none."""
    found = _TOLD.match(reason)
    return int(found[1]) * (60 if found[2] == "min" else 1) if found else None


def medians(guests: tuple[Guest, ...]) -> dict[str, float]:
    """Profile -> median seconds from the beginning of a start to a guest that is ready, of each guest's last start."""
    times: dict[str, list[tuple[datetime, float]]] = {}
    for guest in guests:
        if guest.profile is None or guest.started_at is None or guest.running_at is None or guest.running_at < guest.started_at:
            continue
        times.setdefault(guest.profile, []).append((guest.running_at, (guest.running_at - guest.started_at).total_seconds()))
    return {profile: median(seconds for _, seconds in sorted(each)[-LAST:]) for profile, each in times.items()}
