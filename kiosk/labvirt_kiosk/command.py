# SPDX-License-Identifier: MIT
"""Runs one of the fixed commands of keyboard.py, volume.py and power.py, in the way of nothing."""

from __future__ import annotations

import contextlib
import subprocess
import threading

_SECONDS = 10
_TURN = threading.Lock()
"""One after the other: two steps of the volume at once would be one, since each reads what it changes."""


def run(argv: list[str]) -> None:
    """It is started; whether it worked is heard or seen by the person, who can ask again."""

    def work() -> None:
        with _TURN, contextlib.suppress(OSError, subprocess.TimeoutExpired):  # then everything is as before
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)

    threading.Thread(target=work, name="command", daemon=True).start()
