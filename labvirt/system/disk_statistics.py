# SPDX-License-Identifier: MIT
"""How many requests a disk has served and how long they took, together (Linux, Documentation/admin-guide/iostats.rst)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FILE = Path("/proc/diskstats")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStatistics:
    """Since the host's boot: reads and writes that were completed, and the sum of the times from their being queued to their end."""

    requests: int
    wait_ms: int


def read(path: Path) -> DiskStatistics | None:
    """Of the device below `path`; None where that is no block device (Btrfs, network file systems, tmpfs)."""
    try:
        device = os.stat(path).st_dev
        lines = FILE.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    wanted = [str(os.major(device)), str(os.minor(device))]
    for line in lines:
        fields = line.split()
        if fields[:2] == wanted and len(fields) >= 11:
            return DiskStatistics(requests=int(fields[3]) + int(fields[7]), wait_ms=int(fields[6]) + int(fields[10]))
    return None
