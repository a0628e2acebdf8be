# SPDX-License-Identifier: MIT
"""When those who wait will be ready: what is told against what comes, with starts of known length."""

from __future__ import annotations

import random
from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from labvirt.engine.forecast import LATER, LATER_SECONDS, STEPS, Going, Kind, Next, Paces, Told, forecast, how_of, rounded

COLD, CLONE = Kind(how="cold", profile="tiny"), Kind(how="clone", profile="tiny")


def known(place: float, ready: float, kind: Kind = COLD) -> Paces:
    paces = Paces()
    paces.kept_its_place(kind, place)
    paces.was_ready(kind, ready)
    return paces


def test_nothing_is_said_of_what_nobody_has_seen() -> None:
    assert forecast([Next(kind=COLD)], (), 2, Paces()) == (None,)
    paces = known(4, 4)
    assert forecast([Next(kind=COLD), Next(kind=CLONE), Next(kind=COLD)], (), 9, paces) == (4.0, None, None)
    assert forecast([Next(kind=Kind(profile="big"))], (), 9, paces) == (4.0,)  # as other cold ones
    assert forecast([Next(kind=COLD)], [Going(kind=CLONE, seconds=1)], 9, paces) == (None,)


def test_places_are_given_in_order_each_for_as_long_as_it_takes() -> None:
    paces = known(place=10, ready=6)
    line = [Next(kind=COLD)] * 4
    going = [Going(kind=COLD, seconds=7), Going(kind=COLD, seconds=2)]
    assert forecast(line, going, 2, paces) == (3 + 6, 8 + 6, 13 + 6, 18 + 6)
    assert forecast(line, going, 4, paces) == (6, 6, 3 + 6, 8 + 6)
    late = [Going(kind=COLD, seconds=100), Going(kind=COLD, seconds=2)]
    assert forecast(line[:1], late, 2, paces) == (1.5 + 6,)  # any moment now, but not this one


def test_the_row_says_how_a_start_was_made() -> None:
    assert [how_of(origin) for origin in ("clone of desktop.t3", "boot", "boot: the clone of desktop.t3 failed: it is gone", "")] == [
        "clone",
        "cold",
        "cold",
        "",
    ]


def test_a_clone_takes_less_room_and_less_time() -> None:
    paces = known(10, 10)
    paces.kept_its_place(CLONE, 1)
    paces.was_ready(CLONE, 1)
    clones = [Next(kind=CLONE, weight=0.25)] * 9
    assert forecast(clones, (), 2, paces) == (1,) * 8 + (2,)
    heavy = Next(kind=COLD, weight=5)
    assert forecast([*clones[:1], heavy, *clones[:1]], (), 2, paces) == (1, 11, 12)  # alone, and nobody overtakes it


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 60), min_size=1, max_size=30), st.integers(1, 8))
def test_if_starts_take_what_they_took_everything_comes_when_it_was_told(seconds: list[float], starts: int) -> None:
    """Each of another kind of known length: the forecast is the very schedule."""
    paces, kinds = Paces(), [Kind(profile=f"p{number}") for number in range(len(seconds))]
    for kind, length in zip(kinds, seconds, strict=True):
        paces.kept_its_place(kind, length)
    told = forecast([Next(kind=kind) for kind in kinds], (), starts, paces)
    free = [0.0] * starts
    for length, due in zip(seconds, told, strict=True):
        free.sort()
        free[0] += length
        assert due is not None
        assert abs(due - free[0]) < 1e-6


def test_what_is_told_hardly_grows_and_follows_at_once_when_it_shrinks() -> None:
    told = Told()
    assert told.seconds("a", 20, now=0) == 20
    later = told.seconds("a", 60, now=1)
    assert later == 19 * LATER + LATER_SECONDS
    for second in range(2, 12):
        later = told.seconds("a", 60 - second, now=second)
    assert later == 60 - 11  # it is honest again after a while
    assert told.seconds("a", 5, now=12) == 5
    assert told.seconds("a", None, now=13) is None
    assert told.seconds("a", 90, now=14) == 90  # after a silence anything may be told
    told.keep_only(())
    assert told.seconds("a", 500, now=15) == 500


def test_a_time_is_rounded_up_to_few_numbers() -> None:
    assert [rounded(seconds) for seconds in (0.0, 1.0, 6.1, 299.0, 301.0)] == [1, 1, 8, 300, 360]
    assert all(rounded(step) == step for step in STEPS)


def test_a_storm_is_told_honestly_from_its_second_round_on() -> None:
    """Forty seats, four at once, starts of 4 s give or take a half, nothing known before: what each was told, at every telling, against
    what came. Simulated, so that it depends on no machine."""
    dice = random.Random(6)
    paces, told = Paces(), Told()
    line = list(range(40))
    lengths = {seat: dice.uniform(2.0, 6.0) for seat in line}
    going: dict[int, float] = {}
    announced: list[tuple[int, float, float]] = []
    ready: dict[int, float] = {}
    now = 0.0
    while len(ready) < 40:
        for seat, began in list(going.items()):
            if now - began >= lengths[seat]:
                del going[seat]
                ready[seat] = now
                paces.kept_its_place(COLD, now - began)
                paces.was_ready(COLD, now - began)
        while line and len(going) < 4:
            going[line.pop(0)] = now
        expected = forecast([Next(kind=COLD)] * len(line), [Going(kind=COLD, seconds=now - at) for at in going.values()], 4, paces)
        for seat, due in zip(line, expected, strict=True):
            if (seconds := told.seconds(str(seat), due, now)) is not None:
                announced.append((seat, now, seconds))
        now += 0.25
    wrong = sorted(abs(at + seconds - ready[seat]) for seat, at, seconds in announced)
    rests = [ready[seat] - at for seat, at, _ in announced]
    assert len({seat for seat, _, _ in announced}) >= 35  # all but those that began before one had ended
    assert median(wrong) <= 0.15 * median(rests)
    assert wrong[int(len(wrong) * 0.95)] <= 0.35 * max(rests)
