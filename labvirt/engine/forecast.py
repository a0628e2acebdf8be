# SPDX-License-Identifier: MIT
"""When those who wait will be ready: places are given in order, each for as long as starts of its kind took lately. Pure."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from labvirt.domain.guest import begun_as

LAST = 10
"""So many starts of one kind are remembered: enough for a mean, few enough to follow the load."""

LATER = 1.25
LATER_SECONDS = 1.0
"""What was told may grow from one telling to the next by so much, and no more: who was told 20 s is not told 60 s a moment later."""

OVERDUE = 0.15
"""One that takes longer than it should is taken to need this share of its usual time still."""


COLD = "cold"
"""How a start is made: the machine boots from its disks."""
CLONE = "clone"
"""It begins where a template was frozen."""


def how_of(origin: str) -> str:
    """From what its row says of how its run began (Guest.origin); empty when that is not known."""
    how = begun_as(origin)
    return COLD if how == "boot" else CLONE if how else ""


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """Starts that take equally long: how (an instant clone, a cold boot) and of what profile."""

    how: str = COLD
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds: for how long a start keeps its place, and until its terminal can show it."""

    place: float
    ready: float


@dataclass(slots=True)
class Paces:
    """What was measured. A kind of which nothing is known borrows from the others that start in the same way."""

    _places: dict[Kind, deque[float]] = field(default_factory=dict)
    _ready: dict[Kind, deque[float]] = field(default_factory=dict)

    def kept_its_place(self, kind: Kind, seconds: float) -> None:
        self._places.setdefault(kind, deque(maxlen=LAST)).append(seconds)

    def was_ready(self, kind: Kind, seconds: float) -> None:
        self._ready.setdefault(kind, deque(maxlen=LAST)).append(seconds)

    def of(self, kind: Kind) -> Pace | None:
        place, ready = _mean_of(self._places, kind), _mean_of(self._ready, kind)
        if place is None:
            return None
        return Pace(place=place, ready=place if ready is None else ready)


def _mean_of(known: Mapping[Kind, Sequence[float]], kind: Kind) -> float | None:
    seconds = known.get(kind) or [each for other, those in known.items() if other.how == kind.how for each in those]
    return sum(seconds) / len(seconds) if seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """One that has a place now: how long it has had it, and what it weighs."""

    kind: Kind
    seconds: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """One that waits."""

    kind: Kind
    weight: float = 1.0


def forecast(line: Sequence[Next], going: Iterable[Going], starts: float, paces: Paces) -> tuple[float | None, ...]:
    """Seconds until each of the line is ready, if the host goes on to bear `starts` at once. From the first of which nothing is known
    on, nothing is said."""
    ends: list[tuple[float, float]] = []
    used = 0.0
    for each in going:
        pace = paces.of(each.kind)
        if pace is None:
            return (None,) * len(line)
        ends.append((max(pace.place - each.seconds, pace.place * OVERDUE), each.weight))
        used += each.weight
    heapq.heapify(ends)
    at = 0.0
    found: list[float | None] = []
    for each_next in line:
        pace = paces.of(each_next.kind)
        if pace is None:
            return (*found, *(None,) * (len(line) - len(found)))
        while ends and used + each_next.weight > starts:  # one that weighs more than all starts alone
            at, weight = heapq.heappop(ends)
            used -= weight
        heapq.heappush(ends, (at + pace.place, each_next.weight))
        used += each_next.weight
        found.append(at + pace.ready)
    return tuple(found)


class Told:
    """What each was told last, so that the next telling is not a shock."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def seconds(self, name: str, expected: float | None, now: float) -> float | None:
        """What is told now: as expected, but hardly later than was told before."""
        if expected is None:
            self._due.pop(name, None)
            return None
        before = self._due.get(name)
        if before is not None:
            expected = min(expected, max(0.0, before - now) * LATER + LATER_SECONDS)
        self._due[name] = now + expected
        return expected

    def keep_only(self, names: Iterable[str]) -> None:
        kept = frozenset(names)
        self._due = {name: due for name, due in self._due.items() if name in kept}


STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 180, 240, 300)


def rounded(seconds: float) -> int:
    """Up to the next of STEPS, beyond them to whole minutes: a line changes a few times while it is waited for, not each second."""
    return next((step for step in STEPS if seconds <= step), math.ceil(seconds / 60) * 60)
