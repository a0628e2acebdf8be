# SPDX-License-Identifier: MIT
"""Locks by name in one folder, held by threads of any process: contracts.locks.Locks over flock.

A lock's file goes with its release, so that the folder does not fill with the locks of a thousand jobs. That needs a second look after
each locking: a file that is no longer the one in the folder was somebody's who has just let go.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from labvirt.errors import HostNotReady
from labvirt.system import locks
from labvirt.system.locks import Lock

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}\Z", re.ASCII)


class NamedLocks:
    """Keeps contracts.locks.Locks. Two threads of one process exclude each other too: each opens the file by itself."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists."""
        self._folder = folder

    def take(self, name: str) -> AbstractContextManager[object] | None:
        """Raises HostNotReady when the file cannot be made. A name that is no name is a programmer's mistake (ValueError)."""
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is not the name of a lock")
        path = self._folder / f"{name}.lock"
        try:
            while (lock := locks.take(path)) is not None:
                if _is_there(lock, path):
                    return _held(lock, path)
                lock.release()
        except OSError as error:
            raise HostNotReady(
                f"The lock {path} cannot be made: {error.strerror}.", hint=f"Look at the rights and the free space of {self._folder}."
            ) from error
        return None


@contextlib.contextmanager
def _held(lock: Lock, path: Path) -> Iterator[None]:
    with lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # a file that stays harms nobody
                path.unlink()  # while it is held: nobody else has taken this name meanwhile


def _is_there(lock: Lock, path: Path) -> bool:
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return lock.same_file(found)
