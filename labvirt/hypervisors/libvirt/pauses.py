# SPDX-License-Identifier: MIT
"""Whether a run pauses while somebody watches it: what `resume` waits for without asking again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from labvirt.domain.guest import RunId


class Pauses:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[RunId, set[threading.Event]] = {}

    @contextmanager
    def watch(self, run: RunId) -> Iterator[threading.Event]:
        """An event that is set when the run pauses inside the block."""
        paused = threading.Event()
        with self._lock:
            self._watched.setdefault(run, set()).add(paused)
        try:
            yield paused
        finally:
            with self._lock:
                self._watched[run].discard(paused)
                if not self._watched[run]:
                    del self._watched[run]

    def paused(self, run: RunId) -> None:
        with self._lock:
            for event in self._watched.get(run, ()):
                event.set()
