# SPDX-License-Identifier: MIT
"""A new lease, asked for when the controller says that this terminal has another address by now (`renew` in its answer).

The kiosk only writes a word into a pipe. Who holds the lease (in our image: root/usr/lib/labvirt/renew) asks DHCP, which decides.
A controller that is wrong costs a few requests: the pauses grow, and only ten quiet minutes make them short again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

WORD = b"renew\n"
PAUSES = (0.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Seconds before each try. The first may come before the controller has told its DHCP server."""
LONG_PAUSE = 600.0
"""Before every later try; and so long nothing was tried, it begins anew."""
CHANGE_SECONDS = 10.0
"""A refused lease is followed by a pause of three seconds (busybox udhcpc) before the client asks for another."""
LOOK_SECONDS = 0.1


class Renewal:
    """Of the lease of this terminal. `pipe` None: nobody here renews it, and nothing is ever due."""

    def __init__(
        self,
        pipe: Path | None,
        address: Callable[[], str | None],
        *,
        seconds: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`address` says which one this terminal has now."""
        self._pipe = pipe
        self._address = address
        self._seconds = seconds
        self._pause = pause
        self._tries = 0
        self._last = -LONG_PAUSE

    def rest(self, wished: str) -> float | None:
        """Seconds until the next try for the address `wished`; 0.0: now. None: there is nothing to try."""
        if self._pipe is None or not wished or self._address() in (None, wished):
            return None
        since = self._seconds() - self._last
        if since >= LONG_PAUSE:
            self._tries = 0
        pause = PAUSES[self._tries] if self._tries < len(PAUSES) else LONG_PAUSE
        return max(0.0, pause - since)

    def renew(self) -> bool:
        """True when this terminal has another address afterwards. Takes CHANGE_SECONDS at most."""
        assert self._pipe is not None
        before = self._address()
        self._tries += 1
        changed = self._ask() and self._has_changed(before)
        self._last = self._seconds()
        return changed

    def _ask(self) -> bool:
        try:
            # never made here, never waited for: a pipe that nobody reads is nobody who renews
            descriptor = os.open(str(self._pipe), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(descriptor, WORD)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _has_changed(self, before: str | None) -> bool:
        until = self._seconds() + CHANGE_SECONDS
        while self._seconds() < until:
            if self._address() not in (None, before):
                return True
            self._pause(LOOK_SECONDS)
        return False
