# SPDX-License-Identifier: MIT
"""When a lab's terminals are switched on and off by themselves, and what of that is due. Pure: the host's wall clock is handed in.

Times are those of the host's wall: at 07:45 in summer and in winter. Where the clock is put forward, a time that does not exist that day is
LATE_MINUTES late or more, or comes with the next minute; where it is put back, a day still has each of its times once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from labvirt.domain.power_order import Occupied, check_grace
from labvirt.errors import InvalidInput

LATE_MINUTES = 15
"""A time that nobody kept because the engine was away is kept so late; after that the day goes on without it."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z", re.ASCII)


class Turn(StrEnum):
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerTimes:
    """`on_kept` and `off_kept` are the last days whose times are behind us: kept, or set too late to count."""

    lab: str
    on: time | None = None
    off: time | None = None
    days: frozenset[int] = frozenset(range(5))
    """0 is Monday."""
    occupied: Occupied = Occupied.WARN
    grace_seconds: int = 600
    on_kept: date | None = None
    off_kept: date | None = None

    def __post_init__(self) -> None:
        check_grace(self.grace_seconds)
        if not self.days or not self.days <= frozenset(range(7)):
            raise InvalidInput("days", "must be at least one day of the week", hint="mon-fri, or mon,wed,fri")
        if self.on is not None and self.on == self.off:
            raise InvalidInput("off", "cannot be the time of switching on")

    def at(self, turn: Turn) -> time | None:
        return self.on if turn is Turn.ON else self.off

    def kept(self, turn: Turn) -> date | None:
        return self.on_kept if turn is Turn.ON else self.off_kept

    def keep(self, turn: Turn, day: date) -> PowerTimes:
        """With this day's time behind it."""
        return replace(self, on_kept=day) if turn is Turn.ON else replace(self, off_kept=day)

    def due(self, turn: Turn, wall: datetime) -> date | None:
        """The day whose time has come and was not kept yet, if it is not too late for it."""
        at, kept = self.at(turn), self.kept(turn)
        if at is None:
            return None
        now = wall.replace(tzinfo=None)
        for day in (now.date(), now.date() - timedelta(days=1)):  # 23:55 may be kept at 00:05
            late = now - datetime.combine(day, at)
            if timedelta(0) <= late < timedelta(minutes=LATE_MINUTES) and day.weekday() in self.days and (kept is None or day > kept):
                return day
        return None

    def from_now(self, wall: datetime) -> PowerTimes:
        """The same times, set at this moment: those of today that are over are not made up for."""
        now = wall.replace(tzinfo=None)
        new = self
        for turn in Turn:
            at = self.at(turn)
            over = at is not None and datetime.combine(now.date(), at) <= now
            new = new.keep(turn, now.date() if over else now.date() - timedelta(days=1))
        return new


def parse_time(text: str, field: str) -> time:
    """HH:MM. Raises InvalidInput."""
    match = _TIME.match(text)
    if not match:
        raise InvalidInput(field, "must be a time of the day", hint="Write it like 07:45.")
    return time(int(match[1]), int(match[2]))


def parse_days(text: str, field: str = "days") -> frozenset[int]:
    """'mon-fri', 'mon,wed,sat-sun' or 'daily'. Raises InvalidInput."""
    if text == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise InvalidInput(field, f"must be days of the week ({', '.join(DAYS)})", hint="mon-fri, or mon,wed,sat-sun, or daily")
        start, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(found)


def days_text(days: frozenset[int]) -> str:
    """'mon-fri', 'mon,wed': what parse_days reads."""
    if len(days) == 7:
        return "daily"
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    words = [f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run) for run in runs]
    return ",".join(words)
