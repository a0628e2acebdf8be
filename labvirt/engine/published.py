# SPDX-License-Identifier: MIT
"""Every guest as it is now, in memory, and those who want to hear of changes.

A watcher keeps at most one pending change per guest (the latest): a slow one can neither block the engine nor grow without end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from labvirt.contracts.engine import Change, Presence
from labvirt.domain.guest import Guest
from labvirt.errors import EngineAway


class Watch(Iterator[Change]):
    """Changes as they come. `close` may be called from any thread: then the iteration ends with EngineAway."""

    def __init__(self, first: Iterable[Change], why: str = "it is being stopped") -> None:
        self._pending: dict[str, Change] = {change.guest.name: change for change in first}
        self._changed = threading.Condition()
        self._closed = False
        self._why = why

    def put(self, change: Change) -> None:
        with self._changed:
            self._pending[change.guest.name] = change
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __next__(self) -> Change:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed)
            if self._closed:
                raise EngineAway(self._why)
            name = next(iter(self._pending))
            return self._pending.pop(name)


class Published:
    """Thread-safe; readers get frozen values."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[str, Change] = {}
        self._watches: list[Watch] = []
        self._closed = False

    def guest(self, name: str) -> Guest | None:
        change = self._changes.get(name)
        return change.guest if change else None

    def put(self, guest: Guest, *, sure: bool = True) -> None:
        """This is the guest now. `sure` False: it was read a while ago, and is no news when a newer generation was told since."""
        with self._lock:
            old = self._changes.get(guest.name)
            if old is not None and not sure and old.guest.generation > guest.generation:
                return
            presence = old.presence if old else Presence(guest=guest.name, display=False, flow=False)
            change = Change(guest=guest, presence=presence)
            if change == old:
                return
            self._changes[guest.name] = change
            watches = tuple(self._watches)
        for watch in watches:
            watch.put(change)

    def presence(self, presence: Presence) -> None:
        with self._lock:
            old = self._changes.get(presence.guest)
            if old is None or old.presence == presence:
                return
            change = Change(guest=old.guest, presence=presence)
            self._changes[presence.guest] = change
            watches = tuple(self._watches)
        for watch in watches:
            watch.put(change)

    def keep_only(self, names: Iterable[str]) -> None:
        """Guests whose rows are gone are forgotten."""
        kept = frozenset(names)
        with self._lock:
            self._changes = {name: change for name, change in self._changes.items() if name in kept}

    def watch(self) -> Watch:
        """First every guest, then each change. Raises EngineAway when the engine is being stopped."""
        with self._lock:
            if self._closed:
                raise EngineAway("it is being stopped")
            watch = Watch(self._changes.values())
            self._watches = [w for w in self._watches if not w._closed]
            self._watches.append(watch)
            return watch

    def close(self) -> None:
        with self._lock:
            self._closed = True
            watches, self._watches = self._watches, []
        for watch in watches:
            watch.close()
