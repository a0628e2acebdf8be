# SPDX-License-Identifier: MIT
"""Calls that may never come back, with a deadline. libvirt has none of its own: a stuck QEMU keeps its caller for ever.

A call that is not back in time keeps its thread (a daemon); one subject has at most one such thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from labvirt.errors import DriverTimeout

T = TypeVar("T")


class Call(Generic[T]):
    """One call on a thread of its own."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work = work
        self._done = threading.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
            self._error = error
        finally:
            self._done.set()

    @property
    def is_over(self) -> bool:
        return self._done.is_set()

    def result(self, seconds: float) -> T:
        """What the work returned or raised. Raises TimeoutError when it is not over by then."""
        if not self._done.wait(seconds):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value[0]


class Patience:
    """Remembers which subjects have a call that never came back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stuck: dict[str, Call[object]] = {}

    def within(self, seconds: float, operation: str, subject: str, work: Callable[[], T]) -> T:
        """The result of `work`. Raises DriverTimeout after `seconds`, or at once while an older call for `subject` is stuck."""
        with self._lock:
            old = self._stuck.get(subject)
            if old is not None and not old.is_over:
                raise self._late(operation, subject)
            self._stuck.pop(subject, None)
        call: Call[T] = Call(work, f"libvirt-{subject}")
        try:
            return call.result(seconds)
        except TimeoutError as error:
            with self._lock:
                self._stuck[subject] = call  # type: ignore[assignment]  # its result is not wanted any more
            raise self._late(operation, subject) from error

    @staticmethod
    def _late(operation: str, subject: str) -> DriverTimeout:
        return DriverTimeout(
            f"{subject} does not answer: libvirt could not {operation} in time.",
            operation=operation,
            subject=subject,
            hint="Look at it in a moment; kill it if it stays so: labvirt guest stop NAME --how kill",
        )
