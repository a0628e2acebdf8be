# SPDX-License-Identifier: MIT
"""A storm of wishes needs few pokes: one that was not sent yet speaks for everybody who comes meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pokes:
    """Safe from any thread. An engine that hangs keeps two threads waiting, not all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._next_is_waiting = False

    def send(self, poke: Callable[[], None]) -> None:
        """A poke that began after this call began is sent, by us or by who waits to send the next one. Raises what
        `poke` raises.
        """
        with self._lock:
            if self._next_is_waiting:
                return
            self._next_is_waiting = True
        with self._sending:
            with self._lock:
                self._next_is_waiting = False
            poke()
