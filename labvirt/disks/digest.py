# SPDX-License-Identifier: MIT
"""Checksums of files, told about while they are made; and progress that goes through several steps."""

from __future__ import annotations

import hashlib
import os

from labvirt.contracts.images import Progress, silent

_BLOCK = 4 << 20


def sha256_of(descriptor: int, progress: Progress = silent) -> str:
    """SHA-256 (hexadecimal) of everything in the open file. What `progress` raises ends it. Raises OSError."""
    digest, at, size = hashlib.sha256(), 0, os.fstat(descriptor).st_size
    while block := os.pread(descriptor, _BLOCK, at):
        digest.update(block)
        at += len(block)
        progress(at, max(size, at))
    return digest.hexdigest()


class Steps:
    """One Progress made of several steps, each with a weight in bytes. What is told never goes back.

    The last step's own end is the end: after the thing has its name nothing may raise any more.
    """

    def __init__(self, progress: Progress, *weights: int) -> None:
        self._progress = progress
        self._weights = [max(1, weight) for weight in weights]
        self._before = 0
        self._told = 0

    def next(self) -> Progress:
        """The progress of the next step; those before it are done. Raises what the progress raises."""
        start, weight = self._before, self._weights.pop(0)
        self._before += weight

        def told(done: int, total: int) -> None:
            part = weight * min(done, total) // total if total > 0 else weight
            self._tell(start + part)

        self._tell(start)
        return told

    def end(self) -> None:
        self._before += sum(self._weights)
        self._weights.clear()
        self._tell(self._before)

    def _tell(self, done: int) -> None:
        self._told = max(self._told, done)
        self._progress(self._told, self._before + sum(self._weights))
