# SPDX-License-Identifier: MIT
"""Archives for the kernel's initial file system ("newc"), written here so that device nodes need no root.

Linux: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

Files = dict[str, tuple[int, bytes]]
"""By its path: a file's kind with its mode bits, and its bytes (of a symbolic link: where to)."""

CONSOLE, NULL = "dev/console", "dev/null"
DEVICES = {CONSOLE: (0o600, (5, 1)), NULL: (0o666, (1, 3))}


def program(data: bytes) -> tuple[int, bytes]:
    return stat.S_IFREG | 0o755, data


def plain(data: bytes) -> tuple[int, bytes]:
    return stat.S_IFREG | 0o644, data


def link(to: str) -> tuple[int, bytes]:
    return stat.S_IFLNK | 0o777, to.encode()


def entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One entry of an archive: 13 fields, the path and the data, each filled up to four bytes."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive_of(files: Mapping[str, tuple[int, bytes]], *, folders: Iterable[str] = (), devices: Iterable[str] = ()) -> bytes:
    """These files with the folders they lie in, more empty `folders`, and of DEVICES those that init opens before devtmpfs is there."""
    above = {str(parent) for name in (*files, *devices) for parent in Path(name).parents} - {"."}
    archive = [entry(name, stat.S_IFDIR | 0o755) for name in sorted({*above, *folders})]
    for name in devices:
        mode, numbers = DEVICES[name]
        archive.append(entry(name, stat.S_IFCHR | mode, device=numbers))
    archive += [entry(name, mode, data) for name, (mode, data) in sorted(files.items())]
    archive.append(entry("TRAILER!!!", 0))
    return b"".join(archive)
