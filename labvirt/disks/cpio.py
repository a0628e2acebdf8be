# SPDX-License-Identifier: MIT
"""A cpio archive as Linux unpacks it into its initial file system, also behind a compressed one (kernel: driver-api/early-userspace/
buffer-format.rst). PURE."""

from __future__ import annotations

from collections.abc import Mapping

ALIGNMENT = 512
"""Archives are joined with zeros between them; each begins at a multiple of four, and this is one."""
_FOLDER, _FILE = 0o040755, 0o100444


def joined(before_bytes: int, files: Mapping[str, bytes]) -> bytes:
    """What is to be written behind an archive of so many bytes: zeros, and an archive ("newc") of these files of root's, each in a folder
    at most one deep. Equal files give equal bytes.
    """
    folders = sorted({name.rpartition("/")[0] for name in files} - {""})
    entries = [(name, _FOLDER, b"") for name in folders] + [(name, _FILE, files[name]) for name in sorted(files)] + [("TRAILER!!!", 0, b"")]
    archive = b"".join(_entry(number, *each) for number, each in enumerate(entries, start=1))
    return bytes(-before_bytes % ALIGNMENT) + archive


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime, c_filesize, four of devices, c_namesize, c_check: eight hexadecimal digits each."""
    text = name.encode() + b"\0"
    numbers = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(text), 0)
    head = b"070701" + b"".join(b"%08X" % each for each in numbers) + text
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
