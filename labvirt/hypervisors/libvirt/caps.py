# SPDX-License-Identifier: MIT
"""Which runs we will be told of when they write more than they may, and acting on it: off libvirt's event thread, which must not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from labvirt.domain.guest import RunId


class Caps:
    """Thread-safe. `hold` is called on a thread of its own for each run that has reached its cap."""

    def __init__(self, hold: Callable[[RunId], None]) -> None:
        self._hold = hold
        self._lock = threading.Lock()
        self._armed: set[RunId] = set()
        self._reached: SimpleQueue[RunId | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def arms(self, run: RunId) -> bool:
        """Must the thresholds be set now? QEMU forgets one when it was reached."""
        with self._lock:
            if run in self._armed:
                return False
            self._armed.add(run)
            return True

    def reached(self, run: RunId) -> None:
        with self._lock:
            if run not in self._armed:  # somebody else's domain, or somebody else's threshold
                return
            self._armed.discard(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="libvirt-caps", daemon=True)
                self._thread.start()
        self._reached.put(run)

    def forget(self, run: RunId) -> None:
        with self._lock:
            self._armed.discard(run)

    def close(self) -> None:
        self._reached.put(None)

    def _work(self) -> None:
        while (run := self._reached.get()) is not None:
            self._hold(run)
