# SPDX-License-Identifier: MIT
"""One named operation per guest at a time, carried out by worker threads that outlive nobody."""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labvirt.errors import LabVirtError, OperationInProgress

log = logging.getLogger(__name__)


class Operations:
    """`marks` lets an observer see whose operations began or ended while it looked: nothing is concluded about those."""

    def __init__(self, workers: int, ended: Callable[[str], None]) -> None:
        """`ended` is called with the guest's name on the worker's thread when an operation is over."""
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._names: dict[str, str] = {}
        self._marks: Counter[str] = Counter()
        self._ended = ended
        self._closed = False
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._workers = workers
        for number in range(workers):
            threading.Thread(target=self._run, name=f"operation-{number}", daemon=True).start()

    def busy(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._names)

    def marks(self) -> dict[str, int]:
        with self._lock:
            return dict(self._marks)

    @contextmanager
    def one(self, guest: str, name: str) -> Iterator[None]:
        """The guest's only operation inside the block. Raises OperationInProgress when there is another."""
        self._begin(guest, name)
        try:
            yield
        finally:
            self._end(guest)

    def submit(self, guest: str, name: str, deed: Callable[[], None]) -> bool:
        """Have it done by a worker; False when the guest is busy or the engine is being stopped. What it raises is logged."""
        try:
            self._begin(guest, name)
        except OperationInProgress:
            return False

        def run() -> None:
            try:
                deed()
            except LabVirtError as error:
                log.warning("%s: %s: %s", guest, name, error)
            finally:
                self._end(guest)

        self._work.put(run)
        return True

    def idle(self, seconds: float) -> bool:
        """True as soon as nothing is going on; False when something still is after `seconds`."""
        with self._lock:
            return self._idle.wait_for(lambda: not self._names, seconds)

    def close(self, seconds: float) -> bool:
        """No new operations; True when those going on have ended within `seconds`."""
        with self._lock:
            self._closed = True
            ended = self._idle.wait_for(lambda: not self._names, seconds)
        for _ in range(self._workers):
            self._work.put(None)
        return ended

    def _begin(self, guest: str, name: str) -> None:
        with self._lock:
            if guest in self._names or self._closed:
                raise OperationInProgress(guest, self._names.get(guest, "the engine is being stopped"))
            self._names[guest] = name
            self._marks[guest] += 1

    def _end(self, guest: str) -> None:
        with self._lock:
            self._names.pop(guest, None)
            self._marks[guest] += 1
            if not self._names:
                self._idle.notify_all()
        self._ended(guest)

    def _run(self) -> None:
        while (deed := self._work.get()) is not None:
            try:
                deed()
            except Exception:  # a mistake of ours in one operation must not take the worker away from all guests
                log.exception("an operation ended with a mistake of the program")
