# SPDX-License-Identifier: MIT
"""Space that a file keeps for itself on a disk that others fill."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_FALLOC_FL_KEEP_SIZE = 1
"""fallocate(2): the file does not get longer, whoever reads it sees no difference."""


def keep_for(path: Path, amount: int, *, leaving: int) -> bool:
    """The existing file's first `amount` bytes can be written also when the disk is full, until somebody truncates it. False when fewer
    than `leaving` bytes would be free then, or the file system cannot: nothing happened. Raises OSError (no such file)."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found, disk = os.fstat(descriptor), os.fstatvfs(descriptor)
        missing = amount - found.st_blocks * 512
        if missing <= 0:
            return True
        if disk.f_bavail * disk.f_frsize < missing + leaving:
            return False
        call = ctypes.CDLL(None, use_errno=True).fallocate
        call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        return bool(call(descriptor, _FALLOC_FL_KEEP_SIZE, 0, amount) == 0)
    finally:
        os.close(descriptor)
