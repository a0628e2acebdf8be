# SPDX-License-Identifier: MIT
"""A disk's first sector: the code that a BIOS runs, and the table of partitions."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

SECTOR = 512
CODE_BYTES = 440
TOO_FAR = b"\xfe\xff\xff"
"""Cylinder, head and sector of what they cannot name: see the sector's number."""


class Partition(NamedTuple):
    """From byte `start` up to `end` of the disk; `kind` is the table's number for what lies there."""

    kind: int
    start: int
    end: int
    active: bool = False


def boot_record(code: bytes, signature: int, partitions: Sequence[Partition]) -> bytes:
    """The sector with as much of `code` as there is room for, the disk's signature and up to four partitions."""
    entries = b"".join(
        struct.pack(
            "<B3sB3sII",
            0x80 if each.active else 0,
            TOO_FAR,
            each.kind,
            TOO_FAR,
            each.start // SECTOR,
            (each.end - each.start) // SECTOR,
        )
        for each in partitions
    )
    return code[:CODE_BYTES].ljust(CODE_BYTES, b"\0") + struct.pack("<IH", signature, 0) + entries.ljust(64, b"\0") + b"\x55\xaa"
