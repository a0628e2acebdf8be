# SPDX-License-Identifier: MIT
"""What the kernel says about files, as sentences of ours. The one place of this room where an OSError becomes a LabVirtError."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from labvirt.errors import DiskError, Exhausted, LabVirtError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
TOO_MANY_OPEN = "Stop what is not needed, or allow more (LimitNOFILE= of the service, ulimit -n), then try again."
_HINTS = {
    errno.EMFILE: TOO_MANY_OPEN,
    errno.ENFILE: TOO_MANY_OPEN,
    errno.EROFS: "The kernel does so when the disk has errors: look at dmesg, check the disk, then: mount -o remount,rw",
}


def disk_full(subject: str) -> Exhausted:
    return Exhausted(
        "disk",
        f"There is no space left for {subject}.",
        hint="Make room, then try again: labvirt image gc, or remove what is not needed (df -h and df -i show what is full).",
    )


def translate(error: OSError, operation: str, subject: str) -> LabVirtError:
    """`operation` reads after 'cannot': 'make the overlay of'."""
    if error.errno in FULL:
        return disk_full(subject)
    return DiskError(
        f"Cannot {operation} {subject}: {error.strerror or error}.",
        operation=operation,
        subject=subject,
        hint=_HINTS.get(
            error.errno or 0, "Look at the owner, the mode and the file system of the state folder; the system's log may know more."
        ),
    )


@contextmanager
def translated(operation: str, subject: str) -> Iterator[None]:
    """An OSError inside becomes Exhausted('disk') or DiskError."""
    try:
        yield
    except OSError as error:
        raise translate(error, operation, subject) from error
