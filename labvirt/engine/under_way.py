# SPDX-License-Identifier: MIT
"""Starts that were let through: the place and the memory that each takes, and what is learned of how long they take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labvirt.domain.host import promised_mib
from labvirt.engine.forecast import CLONE, Going, Kind, Paces

LOOK_SECONDS = 2.0
"""Who was seen booting longer ago tells nothing of how long starts take."""


@dataclass(slots=True)
class _Begun:
    """`done` is when its machine ran, `freed` when its place was free again (monotonic)."""

    at: float
    memory_mib: int
    weight: float
    kind: Kind
    done: float | None = None
    freed: bool = False
    told: bool = False


class UnderWay:
    """Not thread-safe: the admission's lock is held around each call."""

    def __init__(self) -> None:
        self._begun: dict[str, _Begun] = {}
        self._holding: frozenset[str] = frozenset()
        self._seen_at = float("-inf")
        self.paces = Paces()

    def let(self, guest: str, *, at: float, memory_mib: int, weight: float, kind: Kind) -> None:
        """It may start now; its machine has so much memory."""
        self._begun[guest] = _Begun(at=at, memory_mib=memory_mib, weight=weight, kind=kind)

    def forget(self, guest: str) -> None:
        self._begun.pop(guest, None)

    def runs(self, guest: str, *, at: float, boots: bool, shows: bool, how: str = "") -> Kind | None:
        """Its machine runs. It `boots`, or its place is free; its terminal `shows` it already, or waits for it to answer. `how` it was
        started, if that is not as was meant. Returns of which kind the start was; None when it was not let through here."""
        begun = self._begun.get(guest)
        if begun is None or begun.done is not None:
            return None
        begun.done = at
        if how:
            begun.kind = Kind(how=how, profile=begun.kind.profile)
        if shows:
            self.paces.was_ready(begun.kind, at - begun.at)
        if not boots:
            self._free(begun, at)
        return begun.kind

    def answers(self, guest: str, *, at: float) -> None:
        """It boots no more: its terminal can show it now."""
        begun = self._begun.get(guest)
        if begun is not None and begun.done is not None:
            self.paces.was_ready(begun.kind, at - begun.at)
            self._free(begun, at)

    def ended(self, guest: str) -> bool | None:
        """An operation on it is over. True when that was a start that went well, None when it came to nothing, False when it was
        something else."""
        begun = self._begun.get(guest)
        if begun is None:
            return False
        if begun.done is None:
            del self._begun[guest]
            return None
        well, begun.told = not begun.told, True
        return well

    def look(self, booting: frozenset[str], awaited: frozenset[str], *, now: float, young_seconds: float) -> None:
        """These boot and hold their places; these have not answered yet, with a place or without. Who held one at the last look and does
        so no more has told how long that takes."""
        if now - self._seen_at <= LOOK_SECONDS:
            for name in self._holding - booting:
                if (begun := self._begun.get(name)) is not None:
                    self._free(begun, now)
        self._holding, self._seen_at = booting, now
        self._begun = {
            name: begun
            for name, begun in self._begun.items()
            if begun.done is None or now - begun.done < young_seconds or name in booting or name in awaited
        }

    def starting(self) -> int:
        """How many have no machine yet."""
        return sum(1 for begun in self._begun.values() if begun.done is None)

    def committed_mib(self, *, now: float, young_seconds: float) -> int:
        """Memory that is promised to those that start or are young."""
        young = (begun for begun in self._begun.values() if begun.done is None or now - begun.done < young_seconds)
        return sum(promised_mib(begun.memory_mib, clone=begun.kind.how == CLONE) for begun in young)

    def going(self, *, now: float) -> tuple[Going, ...]:
        """Those that hold a place."""
        mine = {name for name, begun in self._begun.items() if begun.done is None} | self._holding
        return tuple(self._going(name, now) for name in sorted(mine))

    def _going(self, name: str, now: float) -> Going:
        begun = self._begun.get(name)
        if begun is None:  # an engine before us has started it
            return Going(kind=Kind(), seconds=0.0)
        return Going(kind=begun.kind, seconds=now - begun.at, weight=begun.weight)

    def _free(self, begun: _Begun, at: float) -> None:
        if not begun.freed:
            begun.freed = True
            self.paces.kept_its_place(begun.kind, at - begun.at)


def weight_of(going: Iterable[Going]) -> float:
    return sum(each.weight for each in going)
