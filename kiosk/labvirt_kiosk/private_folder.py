# SPDX-License-Identifier: MIT
"""A folder that only this kiosk can read, in memory where possible, for the files that hold a secret for a moment.

A kiosk that was killed cannot clean up; the next one removes every folder whose lock nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

_PREFIX = "labvirt-kiosk-"


class PrivateFolder:
    """A new folder, mode 0700, removed by `remove`. Folders of dead kiosks beside it are removed at once."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        base = _base(environment)
        _sweep(base)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self._lock = _lock(self.path)

    def write(self, file_format: str, text: str) -> Path:
        """A new file, mode 0600, with `text`; its path. The one of that format before is removed."""
        path = self.path / f"guest.{file_format}"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def empty(self) -> None:
        """No such file is left in the folder. Safe in any thread, also after `remove`."""
        for path in self.path.glob("guest.*"):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """The folder is gone. May be called again."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _base(environment: Mapping[str, str]) -> Path:
    for candidate in (environment.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108  (mkdtemp makes the name)
        if candidate and os.path.isdir(candidate) and os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    return Path(tempfile.gettempdir())


def _lock(folder: Path) -> int | None:
    """The descriptor that holds the folder's lock; None if another process holds it. Not inherited by the viewer."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or not (folder / "lock").exists():
                continue  # not ours, or a kiosk that is making its folder at this moment
            descriptor = _lock(folder)
        except OSError:
            continue  # gone meanwhile, or not ours to judge
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
