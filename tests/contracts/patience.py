# SPDX-License-Identifier: MIT
"""Waiting for what a driver tells: by events, with a deadline that is no promise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from labvirt.contracts.hypervisor import EventKind, RunEvent
from labvirt.domain.guest import RunId

DEADLINE_SECONDS = 60.0


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[RunEvent] = []

    def __call__(self, event: RunEvent) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def of(self, run: RunId, kind: EventKind) -> list[RunEvent]:
        with self._changed:
            return [event for event in self._events if event.run == run and event.kind is kind]

    def wait(self, run: RunId, kind: EventKind) -> RunEvent:
        """The first such event, now or soon."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._find(run, kind), DEADLINE_SECONDS)
            assert found is not None, f"no {kind} of {run}, only {self._events}"
            return found

    def _find(self, run: RunId, kind: EventKind) -> RunEvent | None:
        return next((event for event in self._events if event.run == run and event.kind is kind), None)


def until(condition: Callable[[], bool], what: str) -> None:
    """The condition holds. For what nobody tells: asked again and again."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, what
        pause.wait(0.05)
