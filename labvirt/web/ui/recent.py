# SPDX-License-Identifier: MIT
"""One costly value that many ask for: made by one thread at a time, shared by all who came meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from labvirt.contracts.clock import Clock
from labvirt.errors import Exhausted, LabVirtError

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps the last outcome, a refusal too. Threads that would wait longer than `patience` get the outcome before, or Exhausted."""

    def __init__(self, clock: Clock, *, seconds: float, patience: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._patience = patience
        self._lock = threading.Lock()
        self._began = 0.0
        self._revision = -1
        self._outcome: tuple[T] | LabVirtError | None = None

    def get(self, make: Callable[[], T], revision: int = 0) -> T:
        """The value, not older than `seconds` and made from `revision` or a later one. Raises what `make` raised (LabVirtError)."""
        asked = self._clock.monotonic()
        if not self._lock.acquire(timeout=self._patience):
            if self._outcome is None:
                raise Exhausted("threads", "This takes longer than usual.", hint="Try again in a moment.")
            return self._told()
        try:
            young = self._began >= asked or self._clock.monotonic() - self._began < self._seconds
            if self._outcome is None or not young or self._revision < revision:
                self._began, self._revision = self._clock.monotonic(), revision
                try:
                    self._outcome = (make(),)
                except LabVirtError as error:
                    self._outcome = error
            return self._told()
        finally:
            self._lock.release()

    def _told(self) -> T:
        outcome = self._outcome
        if isinstance(outcome, LabVirtError):
            raise outcome
        assert outcome is not None
        return outcome[0]
