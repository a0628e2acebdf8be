# SPDX-License-Identifier: MIT
"""When a lab is switched on and off by itself: on its days, at its time or a little late, once, and never hours later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from labvirt.domain.power_times import LATE_MINUTES, PowerTimes, Turn, days_text, parse_days, parse_time
from labvirt.errors import InvalidInput

MONDAY = date(2026, 3, 2)
TIMES = PowerTimes(lab="lab-a", on=time(7, 45), off=time(18, 0))


def at(hour: int, minute: int = 0, day: date = MONDAY, second: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute, second), timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    "wall, turn, due",
    [
        (at(7, 44, second=59), Turn.ON, None),
        (at(7, 45), Turn.ON, MONDAY),
        (at(7, 59, second=59), Turn.ON, MONDAY),
        (at(8, 0), Turn.ON, None),
        (at(18, 1), Turn.OFF, MONDAY),
        (at(18, 1), Turn.ON, None),
        (at(21, 0), Turn.OFF, None),
        (at(7, 46, MONDAY + timedelta(days=4)), Turn.ON, MONDAY + timedelta(days=4)),
        (at(7, 46, MONDAY + timedelta(days=5)), Turn.ON, None),
    ],
)
def test_what_is_due(wall: datetime, turn: Turn, due: date | None) -> None:
    assert TIMES.due(turn, wall) == due


def test_what_was_kept_is_not_due_again_and_tomorrow_is() -> None:
    kept = TIMES.keep(Turn.OFF, MONDAY)
    assert kept.due(Turn.OFF, at(18, 5)) is None
    assert kept.due(Turn.OFF, at(18, 5, MONDAY + timedelta(days=1))) == MONDAY + timedelta(days=1)
    assert kept.due(Turn.ON, at(7, 50)) == MONDAY
    assert kept.due(Turn.OFF, at(17, 0)) is None  # the clock was put back
    assert kept.due(Turn.OFF, at(18, 0)) is None


def test_a_time_before_midnight_may_be_kept_after_it() -> None:
    late = replace(TIMES, off=time(23, 55))
    friday = MONDAY + timedelta(days=4)
    assert late.due(Turn.OFF, at(0, 5, friday + timedelta(days=1))) == friday
    assert late.due(Turn.OFF, at(0, 5, MONDAY)) is None  # that was Sunday's


def test_times_that_are_set_count_from_now_on() -> None:
    new = TIMES.from_now(at(18, 5))
    assert new.due(Turn.OFF, at(18, 6)) is None
    assert new.due(Turn.ON, at(7, 45, MONDAY + timedelta(days=1))) == MONDAY + timedelta(days=1)
    assert TIMES.from_now(at(17, 59)).due(Turn.OFF, at(18, 0)) == MONDAY


def test_every_minute_of_a_week_gives_each_time_once() -> None:
    times, given = TIMES, []
    for minute in range(7 * 24 * 60):
        wall = at(0) + timedelta(minutes=minute)
        for turn in Turn:
            day = times.due(turn, wall)
            if day is not None:
                given.append((turn, day))
                times = times.keep(turn, day)
    assert given == [(turn, MONDAY + timedelta(days=day)) for day in range(5) for turn in Turn]
    assert LATE_MINUTES < 60


@pytest.mark.parametrize(
    "text, days, back",
    [
        ("mon-fri", {0, 1, 2, 3, 4}, "mon-fri"),
        ("daily", set(range(7)), "daily"),
        ("mon,wed,fri", {0, 2, 4}, "mon,wed,fri"),
        ("sat-sun", {5, 6}, "sat,sun"),
        ("fri-mon", {4, 5, 6, 0}, "mon,fri-sun"),
        ("mon-mon", {0}, "mon"),
    ],
)
def test_days_are_read_and_written(text: str, days: set[int], back: str) -> None:
    assert parse_days(text) == days
    assert days_text(parse_days(text)) == back
    assert parse_days(back) == days


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mon,,tue", "MON", "mon fri", "x" * 300])
def test_days_that_are_none(text: str) -> None:
    assert parse_days("tue")
    with pytest.raises(InvalidInput, match="days"):
        parse_days(text)


@pytest.mark.parametrize("text", ["", "7:45", "24:00", "07:60", "0745", "07:45:00", "٠٧:٤٥"])
def test_times_that_are_none(text: str) -> None:
    assert parse_time("23:59", "on") == time(23, 59)
    with pytest.raises(InvalidInput, match="on"):
        parse_time(text, "on")


def test_times_that_contradict_each_other() -> None:
    assert replace(TIMES, off=None).due(Turn.OFF, datetime(2026, 3, 2, 18, tzinfo=UTC)) is None
    for wrong in ({"off": time(7, 45)}, {"days": frozenset()}, {"days": frozenset({7})}, {"grace_seconds": -1}):
        with pytest.raises(InvalidInput):
            replace(TIMES, **wrong)  # type: ignore[arg-type]
