# SPDX-License-Identifier: MIT
"""What the programs of offline.py say, as values. Pure: bytes in, values out. All of it may be a hostile guest's choice.

Sources: 7-Zip's technical listing (`l -slt`), partx(8) and blkid(8) of util-linux.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SECTOR = 512
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_INTERNAL = (b"[SYS]", b"[SYSTEM]")
"""Folders that 7-Zip makes up for a file system's own files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One file or folder of a file system. `path` is relative, its parts joined by '/', with control characters as '_'."""

    path: bytes
    folder: bool
    ordinary: bool
    """A regular file or a folder: no link, device, pipe or socket."""
    size_bytes: int
    modified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    number: int
    start: int
    size: int


def shown(name: bytes) -> bytes:
    """A name as the listing shows it: 7-Zip puts '_' for a line break, we for every control character, so that they compare."""
    return _CONTROL.sub(b"_", name)


def entries(listing: bytes) -> Iterator[Found]:
    """Every entry that has a usable path: relative, without empty parts, '.' and '..'."""
    fields: dict[bytes, bytes] = {}
    for line in (*listing.split(b"\n"), b""):
        if line:
            key, separator, value = line.partition(b" = ")
            if separator or line.endswith(b" ="):
                fields.setdefault(key.removesuffix(b" ="), value)
            continue
        path = fields.get(b"Path")
        if path is not None and fields.get(b"Alternate Stream", b"") not in (b"+",) and _usable(path):
            yield _entry(path, fields)
        fields = {}


def _usable(path: bytes) -> bool:
    parts = path.split(b"/")
    return parts[0] not in _INTERNAL and not any(part in (b"", b".", b"..") for part in parts)


def _entry(path: bytes, fields: Mapping[bytes, bytes]) -> Found:
    mode, size = fields.get(b"Mode", b""), fields.get(b"Size", b"")
    folder = fields.get(b"Folder") == b"+"
    link = bool(fields.get(b"Symbolic Link")) or b"REPARSE" in fields.get(b"Characteristics", b"").upper()
    return Found(
        path=b"/".join(map(shown, path.split(b"/"))),
        folder=folder,
        ordinary=not link and mode[:1] in (b"", b"-", b"d"),
        size_bytes=int(size) if size.isdigit() else 0,
        modified=fields.get(b"Modified", b"")[:19].decode("ascii", "replace"),
    )


def partitions(table: bytes) -> tuple[Partition, ...]:
    """What `partx --noheadings --raw -o NR,START,SECTORS` printed; extended ones (that hold others) are left out by size 2 sectors."""
    found = []
    for line in table.splitlines():
        words = line.split()
        if len(words) == 3 and all(word.isdigit() for word in words) and int(words[2]) > 2:
            found.append(Partition(number=int(words[0]), start=int(words[1]) * SECTOR, size=int(words[2]) * SECTOR))
    return tuple(found)


def tags(export: bytes) -> dict[str, str]:
    """What `blkid -o export` printed."""
    pairs = (line.partition("=") for line in export.decode("utf-8", "replace").splitlines())
    return {key: value for key, _, value in pairs}


def text(path: bytes) -> str:
    return os.fsdecode(path)
