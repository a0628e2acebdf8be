# SPDX-License-Identifier: MIT
"""The door to locks that die with their holder."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Locks(Protocol):
    def take(self, name: str) -> AbstractContextManager[object] | None:
        """The lock of this name until the block ends or the process dies; None while somebody else (also another thread) has it."""
