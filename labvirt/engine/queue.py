# SPDX-License-Identifier: MIT
"""Who may start next: in the order of asking, labs taking turns, as many at once as the host bears, while its memory lasts."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from labvirt.domain.guest import Guest
from labvirt.domain.host import GUEST_OVERHEAD_MIB, Host, HostLoad, full

FULL = "full: "
"""A reason that begins so is told to the terminal as 'all computers are in use' (domain.answer)."""


def fair_order(waiting: Sequence[Guest], last_lab: str | None = None) -> tuple[Guest, ...]:
    """Labs take turns, beginning after `last_lab`, in the order in which their first asked; inside a lab who asked first comes first."""
    lines: dict[str, deque[Guest]] = defaultdict(deque)
    for guest in sorted(waiting, key=lambda g: (g.asked_at or g.since, g.seat, g.name)):
        lines[guest.lab].append(guest)
    labs = deque(lines)  # dicts keep the order of first asking
    if last_lab in lines and len(labs) > 1:
        labs.remove(last_lab)
        labs.append(last_lab)
    ordered: list[Guest] = []
    while labs:
        lab = labs.popleft()
        ordered.append(lines[lab].popleft())
        if lines[lab]:
            labs.append(lab)
    return tuple(ordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the host bears now. `slots`: starts that may begin; `committed_mib`: promised to guests that have not touched it yet."""

    host: Host
    load: HostLoad
    slots: int
    running: int
    committed_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`admitted` may start now, in this order; `reasons` is what each of the others waits for."""

    admitted: tuple[Guest, ...]
    reasons: Mapping[str, str]


@dataclass(slots=True)
class Pace:
    """A moving average of how long starts take."""

    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=20))

    def add(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def until(self, place: int, at_once: int) -> int | None:
        """Whole seconds until the one at `place` (1 is next) is ready; None while nothing is known."""
        if not self.seconds:
            return None
        return max(1, math.ceil(math.ceil(place / at_once + 1) * sum(self.seconds) / len(self.seconds)))


def take_turns(ordered: Sequence[Guest], capacity: Capacity, at_once: int, memory_mib: Callable[[Guest], int], pace: Pace) -> Turn:
    """Nobody overtakes: when the first does not fit, the others wait too."""
    admitted: list[Guest] = []
    reasons: dict[str, str] = {}
    running, committed = capacity.running, capacity.committed_mib
    held = False
    place = 0
    for guest in ordered:
        lacks = full(capacity.host, capacity.load, running, committed, memory_mib(guest))
        if lacks:
            reasons[guest.name] = FULL + lacks
            held = True
        elif not held and len(admitted) < capacity.slots:
            admitted.append(guest)
            running += 1
            committed += memory_mib(guest) + GUEST_OVERHEAD_MIB
            continue
        place += 1
        if not lacks:
            text = _told(place, pace, at_once)
            reasons[guest.name] = FULL + text if held else text
    return Turn(admitted=tuple(admitted), reasons=reasons)


EXACT = 20
"""Up to this place the number is exact. Further back it is rounded up, for every step of a long queue would change every line of it."""


def _told(place: int, pace: Pace, at_once: int) -> str:
    if place <= EXACT:
        seconds = pace.until(place, at_once)
        return f"place {place}" if seconds is None else f"place {place}, about {seconds} s"
    step = 10 if place <= 100 else 100
    rounded = math.ceil(place / step) * step
    seconds = pace.until(rounded, at_once)
    return f"place {rounded} or before" if seconds is None else f"place {rounded} or before, at most about {math.ceil(seconds / 60)} min"
