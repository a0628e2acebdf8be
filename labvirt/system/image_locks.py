# SPDX-License-Identifier: MIT
"""The locks that QEMU and qemu-img hold on an open disk file, asked for and taken without starting a program.

Source of the numbers: block/file-posix.c (RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE) and include/block/block-common.h (BLK_PERM_*)
of QEMU. Locks are of the open file (OFD), so they end with its descriptor. A disk that nobody has open holds none.
"""

from __future__ import annotations

import fcntl
import os
import struct

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of fcntl(2) on 64-bit Linux: type, whence, start, length, pid."""
_PERMISSIONS, _UNSHARED = 100, 200
_BYTES = 200
"""From _PERMISSIONS on: everything that QEMU may lock."""
_WRITE, _RESIZE = 1, 3
"""Offsets of BLK_PERM_WRITE and BLK_PERM_RESIZE."""


def in_use(descriptor: int) -> bool:
    """Somebody else has this file open as a disk, to write or to read. Raises OSError."""
    return _conflict(descriptor, _PERMISSIONS, _BYTES)


def is_written(descriptor: int) -> bool:
    """Somebody else has this file open as a disk and may write to it. Raises OSError."""
    return _conflict(descriptor, _PERMISSIONS + _WRITE, 1) or _conflict(descriptor, _PERMISSIONS + _RESIZE, 1)


def keep_writers_out(descriptor: int) -> bool:
    """From now until the descriptor is closed QEMU and qemu-img refuse to open this file for writing. False: one has it open already.

    Raises OSError.
    """
    for offset in (_WRITE, _RESIZE):
        wish = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, _UNSHARED + offset, 1, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wish)
        except (BlockingIOError, PermissionError):  # POSIX allows both EAGAIN and EACCES for a lock that is held
            return False
    return not is_written(descriptor)


def _conflict(descriptor: int, start: int, length: int) -> bool:
    """A lock of another open file lies in the range: asked as if we wanted it for ourselves alone."""
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0))
    return int(_FLOCK.unpack(answer)[0]) != fcntl.F_UNLCK
