# SPDX-License-Identifier: MIT
"""How a long proof that is told to end does so."""

from __future__ import annotations

import signal
from types import FrameType


class Ended(SystemExit):
    """Not of a program that was called here."""


def in_order() -> None:
    """From now on SIGTERM ends this program with 143 as an exception would, so that it clears away. A second one is not heard: `timeout`
    and `make` both send one, and the second would end the clearing away."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended(128 + number)
