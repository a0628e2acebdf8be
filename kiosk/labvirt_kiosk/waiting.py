# SPDX-License-Identifier: MIT
"""The only place where the kiosk waits, so that one signal ends every wait, and a test need not sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Leave(Exception):
    """The kiosk was asked to end."""


class Waiting:
    """Waits of the main thread. After `leave`, every wait, also the one going on, raises Leave."""

    def __init__(self) -> None:
        self._events: SimpleQueue[tuple[object, Any, BaseException | None] | None] = SimpleQueue()
        self._leaving = False

    def leave(self) -> None:
        """Safe in a signal handler: SimpleQueue.put is reentrant."""
        self._leaving = True
        self._events.put(None)

    def seconds(self) -> float:
        """A clock that only goes forward."""
        return time.monotonic()

    def pause(self, seconds: float, tick: Callable[[int], None] = lambda _: None) -> None:
        """Returns after `seconds`; calls `tick` with the whole seconds left, about once a second."""
        deadline = self.seconds() + seconds
        while (left := deadline - self.seconds()) > 0:
            tick(max(1, round(left)))
            self._next_event(min(left, 1.0))
        self._raise_if_leaving()

    def result_of(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. It runs in a thread, since a name lookup or a read cannot be interrupted."""
        self._raise_if_leaving()
        mark = object()

        def run() -> None:
            try:
                result, error = work(), None
            except BaseException as raised:  # noqa: BLE001  (handed to the main thread, which raises it)
                self._events.put((mark, None, raised))
            else:
                self._events.put((mark, result, error))

        threading.Thread(target=run, name="work", daemon=True).start()
        while True:
            event = self._next_event(None)
            if event is not None and event[0] is mark:
                if event[2] is not None:
                    raise event[2]
                return event[1]  # type: ignore[no-any-return]

    def _next_event(self, timeout: float | None) -> tuple[object, Any, BaseException | None] | None:
        self._raise_if_leaving()
        try:
            event = self._events.get(timeout=timeout)
        except Empty:
            event = None
        self._raise_if_leaving()
        return event

    def _raise_if_leaving(self) -> None:
        if self._leaving:
            raise Leave
