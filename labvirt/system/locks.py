# SPDX-License-Identifier: MIT
"""Locks that die with their holder: flock on an open file.

A file that lies there says nothing; only a held lock does.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class Lock:
    """A held lock. It ends with `release`, with the `with` block, or with the process. Children do not inherit it."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor: int | None = descriptor
        self.path = path

    def release(self) -> None:
        """Others may take it from now. Twice is fine. The file stays: removing it would let two holders in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def same_file(self, found: os.stat_result) -> bool:
        """Is this the file that is locked? False once it is released."""
        if self._descriptor is None:
            return False
        mine = os.fstat(self._descriptor)
        return (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def take(path: Path, *, wait: bool = False) -> Lock | None:
    """The lock on `path` (made 0600 if absent), or None when somebody else holds it. With `wait`, blocks until it is
    free.

    Raises OSError when the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return Lock(descriptor, path)
