# SPDX-License-Identifier: MIT
"""Refusals that come in a flood: the first of a source are told in full, the rest is counted and told as one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from labvirt.domain.audit import Entry

TOLD, SECONDS = 5, 60.0
"""So many of one source are written one by one within so many seconds."""
SOURCES = 1000
"""Sources that are remembered; of all others together so many are written as of one."""
OTHERS = ("", "", "")


@dataclass(slots=True)
class _Flood:
    began: float
    told: int = 0
    more: int = 0
    last: Entry | None = None


class Floods:
    """This process's memory of who was refused lately. Safe from any thread. A restart forgets what was only counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._floods: dict[tuple[str, str, str], _Flood] = {}
        self._quiet = threading.local()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Inside, this thread asks only to know (which buttons to show, what a list may hold): a refusal is no event."""
        before = getattr(self._quiet, "on", False)
        self._quiet.on = True
        try:
            yield
        finally:
            self._quiet.on = before

    def meet(self, entry: Entry, now: float) -> tuple[Entry, ...]:
        """What is to be written now: this entry, or nothing while its source is too loud; and what was only counted of floods that are
        over. `now` in seconds of a clock that never goes back."""
        if getattr(self._quiet, "on", False):
            return ()
        with self._lock:
            due = self._over(now)
            key = (str(entry.kind), entry.who, entry.address)
            if key not in self._floods and len(self._floods) >= SOURCES:
                key = OTHERS
            flood = self._floods.setdefault(key, _Flood(began=now))
            flood.last = entry
            if flood.told < TOLD:
                flood.told += 1
                return (*due, entry)
            flood.more += 1
            return due

    def flush(self, now: float) -> tuple[Entry, ...]:
        """What was only counted of floods that are over."""
        with self._lock:
            return self._over(now)

    def _over(self, now: float) -> tuple[Entry, ...]:
        ended = [key for key, flood in self._floods.items() if now - flood.began >= SECONDS]
        floods = [self._floods.pop(key) for key in ended]
        return tuple(_counted(flood) for flood in floods if flood.more)


def _counted(flood: _Flood) -> Entry:
    assert flood.last is not None
    what = f"refused {flood.more} times more within a minute, at last: {flood.last.what}"
    return replace(flood.last, what=what, times=flood.more)
