# SPDX-License-Identifier: MIT
"""How QEMU's writing or reading of a device state ends, told to who waits for it (MIGRATION of qapi/migration.json).

It is no migration of libvirt's: that one only passes the events on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from labvirt.domain.guest import RunId
from labvirt.hypervisors.libvirt.viewers import parse_object

CAPABILITIES = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
"""The RAM is in a file of its own and not in the state; events say how it goes."""
COMPLETED = "completed"
FAILED = "failed"
_ENDS = (COMPLETED, FAILED, "cancelled")
_GONE = "it ended"


class Watch:
    """Of one run, from the moment in which it was begun."""

    def __init__(self) -> None:
        self._heard: SimpleQueue[str] = SimpleQueue()

    def tell(self, status: str) -> None:
        if status in _ENDS or status == _GONE:
            self._heard.put(status)

    def end(self, seconds: float) -> str | None:
        """How it ended (COMPLETED, FAILED, or other words); None when that is not known after `seconds`."""
        try:
            return self._heard.get(timeout=seconds)
        except Empty:
            return None


class Migrations:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[RunId, Watch] = {}

    @contextmanager
    def watch(self, run: RunId) -> Iterator[Watch]:
        watch = Watch()
        with self._lock:
            self._watched[run] = watch
        try:
            yield watch
        finally:
            with self._lock:
                self._watched.pop(run, None)

    def heard(self, run: RunId, details: str | None) -> None:
        self._tell(run, str(parse_object(details).get("status")))

    def gone(self, run: RunId) -> None:
        self._tell(run, _GONE)

    def _tell(self, run: RunId, status: str) -> None:
        with self._lock:
            watch = self._watched.get(run)
        if watch is not None:
            watch.tell(status)
