# SPDX-License-Identifier: MIT
"""Files that share their blocks: XFS, Btrfs and others."""

from __future__ import annotations

import errno
import fcntl

_FICLONE = 0x40049409
"""ioctl_ficlone(2): _IOW(0x94, 9, int)."""
_CANNOT = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ETXTBSY, errno.EPERM, errno.ENOSYS})


def clone(source: int, target: int) -> bool:
    """`target`, an empty file open for writing, has all of the source's content and shares its blocks; later writes to one are not seen in
    the other. False when the file system cannot (then nothing happened). Raises OSError."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True
