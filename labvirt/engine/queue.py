# SPDX-License-Identifier: MIT
"""Who may start next: who has somebody in front first, labs taking turns, in the order of asking; as many at once as the host bears,
while its memory lasts. Pure.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from labvirt.domain.guest import Guest
from labvirt.domain.host import Host, HostLoad, full, promised_mib
from labvirt.engine.forecast import rounded

FULL = "full: "
"""A reason that begins so is told to the terminal as 'all computers are in use' (domain.answer)."""


def fair_order(waiting: Sequence[Guest], last_lab: str | None = None, rank: Callable[[Guest], int] = lambda guest: 0) -> tuple[Guest, ...]:
    """The lowest rank first (domain.attendance). Among equals labs take turns, beginning after `last_lab`, in the order in which their
    first asked; inside a lab who asked first comes first."""
    ranks: dict[int, list[Guest]] = defaultdict(list)
    for guest in waiting:
        ranks[rank(guest)].append(guest)
    ordered: list[Guest] = []
    for number in sorted(ranks):
        ordered += _in_turns(ranks[number], ordered[-1].lab if ordered else last_lab)
    return tuple(ordered)


def _in_turns(waiting: Sequence[Guest], last_lab: str | None) -> list[Guest]:
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
    return ordered


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the host bears now. `free`: the weight of starts that may begin; `idle`: none goes on, so one may begin whatever it weighs;
    `committed_mib`: promised to guests that have not touched it yet."""

    host: Host
    load: HostLoad
    free: float
    running: int
    committed_mib: int
    idle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InLine:
    """One that waits. `lacks`: what the host has too little of for it; `held`: somebody before it, or it itself, waits for that."""

    guest: Guest
    place: int
    lacks: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`admitted` may start now, in this order; `line` is the others."""

    admitted: tuple[Guest, ...]
    line: tuple[InLine, ...]


def take_turns(
    ordered: Sequence[Guest],
    capacity: Capacity,
    memory_mib: Callable[[Guest], int],
    weight: Callable[[Guest], float] = lambda guest: 1.0,
    clone: Callable[[Guest], bool] = lambda guest: False,
) -> Turn:
    """Nobody overtakes: when the first does not fit, the others wait too. The host must have room for all of a guest's memory; a `clone`
    will take less of it soon."""
    admitted: list[Guest] = []
    line: list[InLine] = []
    running, committed, free = capacity.running, capacity.committed_mib, capacity.free
    held = False
    for guest in ordered:
        lacks = full(capacity.host, capacity.load, running, committed, memory_mib(guest))
        fits = weight(guest) <= free or (capacity.idle and not admitted and free > 0)
        if not lacks and not line and fits:
            admitted.append(guest)
            running += 1
            committed += promised_mib(memory_mib(guest), clone=clone(guest))
            free -= weight(guest)
            continue
        held = held or bool(lacks)
        line.append(InLine(guest=guest, place=len(line) + 1, lacks=lacks, held=held))
    return Turn(admitted=tuple(admitted), line=tuple(line))


EXACT = 20
"""Up to this place the number is exact. Further back it is rounded up, for every step of a long queue would change every line of it."""

MINUTES_FROM = 100
"""Seconds from which on a rounded place is told in minutes."""


def told(line: Sequence[InLine], seconds: Sequence[float | None]) -> Mapping[str, str]:
    """What each waits for: its place, and when it will be ready, if that is known (`seconds`, for each of the line). Who waits for the
    host to have more is told what it lacks, and no time: it depends on others who stop."""
    reasons = {}
    for each in line:
        if each.held:
            reasons[each.guest.name] = FULL + _held(each.place, each.lacks)
        else:
            reasons[each.guest.name] = _said(each.place, seconds[min(_shown(each.place), len(line)) - 1])
    return reasons


def _shown(place: int) -> int:
    if place <= EXACT:
        return place
    step = 10 if place <= 100 else 100
    return math.ceil(place / step) * step


def _held(place: int, why: str) -> str:
    if not why:
        return _said(place)
    return f"place {place}: {why}" if place <= EXACT else f"place {_shown(place)} or before: {why}"


def _said(place: int, seconds: float | None = None) -> str:
    shown, about = _shown(place), None if seconds is None else rounded(seconds)
    if place <= EXACT:
        return f"place {place}" if about is None else f"place {place}, about {about} s"
    if about is None:
        return f"place {shown} or before"
    if about < MINUTES_FROM:
        return f"place {shown} or before, at most about {about} s"
    return f"place {shown} or before, at most about {math.ceil(about / 60)} min"
