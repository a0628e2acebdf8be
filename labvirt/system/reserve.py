# SPDX-License-Identifier: MIT
"""Space that a file keeps for itself on a disk that others fill."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from labvirt.system.process import run

SECONDS = 30.0


def keep_for(path: Path, amount: int, *, leaving: int) -> bool:
    """The existing file's first `amount` bytes can be written also when the disk is full, until somebody truncates it; whoever reads it
    sees no difference (fallocate(2), FALLOC_FL_KEEP_SIZE). False when fewer than `leaving` bytes would be free then, or the file system
    cannot: nothing happened. Raises OSError (no such file, or no ordinary one).

    The file is opened by another process: who closes a file loses all his locks on it (fcntl(2), F_SETLK), and SQLite's connections of this
    process have locks on theirs.
    """
    found = os.stat(path, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is no ordinary file")
    missing = amount - found.st_blocks * 512
    if missing <= 0:
        return True
    disk = os.statvfs(path)
    if disk.f_bavail * disk.f_frsize < missing + leaving:
        return False
    return run(("fallocate", "--keep-size", "--length", str(amount), str(path)), timeout=SECONDS).code == 0
