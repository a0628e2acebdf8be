# SPDX-License-Identifier: MIT
"""Asking something that may not answer, without waiting for it longer than one wants."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from typing import TypeVar

from labvirt.errors import DriverTimeout

T = TypeVar("T")


class Aside:
    """One question at a time; while one is unanswered, no other is asked."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._asked: threading.Thread | None = None

    def call(self, question: Callable[[], T], seconds: float) -> T:
        """The answer, or what it raised. Raises DriverTimeout when there is none within `seconds`."""
        if self._asked is not None and self._asked.is_alive():
            raise DriverTimeout(f"{self._what} still does not answer.", operation="observe", subject=self._what)
        future: Future[T] = Future()

        def ask() -> None:
            try:
                future.set_result(question())
            except BaseException as error:  # noqa: BLE001 - it is raised again where the answer is waited for
                future.set_exception(error)

        self._asked = threading.Thread(target=ask, name=f"ask-{self._what}", daemon=True)
        self._asked.start()
        try:
            return future.result(seconds)
        except NoAnswer as error:
            if future.done():
                raise
            raise DriverTimeout(f"{self._what} has not answered for {seconds:.0f} s.", operation="observe", subject=self._what) from error
