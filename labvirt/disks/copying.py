# SPDX-License-Identifier: MIT
"""Copies of disk files in the stage: shared blocks where the file system can, holes left out, the last space never taken."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from labvirt.contracts.images import Progress, silent
from labvirt.disks.failure import disk_full
from labvirt.errors import Exhausted
from labvirt.system.reflink import clone

_RESERVE = 64 << 20
"""Bytes of the file system that versions leave alone: SQLite and logs may live there."""


def free(folder: Path) -> int:
    """Bytes that may be written where `folder` is. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize - _RESERVE


def need(folder: Path, amount: int, name: str) -> None:
    """Raises Exhausted('disk') when `amount` bytes for `name` cannot be written there, before anything is; OSError."""
    left = free(folder)
    if amount > left:
        raise Exhausted(
            "disk",
            f"There is no space for {name}: it needs about {-(-amount >> 20)} MiB, and {max(0, left) >> 20} MiB are free.",
            hint="Make room, then try again: labvirt image gc, or remove what is not needed (df -h shows what is full).",
        )


def copy(source: int, target: Path, *, name: str, progress: Progress = silent, share: bool = True) -> bool:
    """`target` is a new file (0600) with the data of the open file `source`. True when both share their blocks, which takes no time and no
    space. Not fsynced. Raises Exhausted('disk') (names `name`), OSError, and what `progress` raises; then it may be there, half made.
    """
    output = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(source)
        if share and clone(source, output):
            progress(found.st_size, found.st_size)
            return True
        need(target.parent, data_bytes(found), name)
        _copy_data(source, output, found.st_size, target.parent, name, progress)
        os.ftruncate(output, found.st_size)
        return False
    finally:
        os.close(output)


def data_bytes(found: os.stat_result) -> int:
    """Bytes that a copy of this file occupies at most: holes are left out."""
    return min(found.st_blocks * 512, found.st_size)


def _copy_data(source: int, output: int, size: int, folder: Path, name: str, progress: Progress) -> None:
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
            end = os.lseek(source, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # a hole up to the end
        at = _copy_range(source, output, at, min(end, size))
        progress(at, size)
        if free(folder) < 0:
            raise disk_full(name)
    progress(size, size)


def _copy_range(source: int, target: int, start: int, end: int) -> int:
    """At most 64 MiB of it at a time, shared by the file system where it can (copy_file_range(2)). Returns where it stopped."""
    count = min(end - start, 64 << 20)
    try:
        done = os.copy_file_range(source, target, count, start, start)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        data = os.pread(source, min(count, 1 << 20), start)
        done = os.pwrite(target, data, start)
    return start + done if done else end  # nothing more to read: it was cut while we copied, the inspection will see it


def can_share(source: int, folder: Path) -> bool:
    """A file in `folder` can share its blocks with the open file. Raises OSError."""
    probe = folder / ".share"
    output = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return clone(source, output)
    finally:
        os.close(output)
        probe.unlink()
