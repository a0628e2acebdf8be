# SPDX-License-Identifier: MIT
"""How much a run may write: its overlays' greatest size on the host. The size of the file is the truth; QEMU's write threshold only
says in time when to look.

The threshold is an offset in the host's file and is gone once it was reached (qapi/block-core.json, block-set-write-threshold), so it
is set anew with each connection and each time that the run goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayCap:
    """`overlays` are QEMU's nodes with the names of their files in the run's folder."""

    limit_bytes: int
    overlays: tuple[tuple[str, str], ...]

    def is_beyond(self, folder: Path) -> bool:
        """Has an overlay grown beyond the limit? A file that is not there has not."""
        return any(_size(folder / name) > self.limit_bytes for _, name in self.overlays)

    def thresholds(self) -> Iterator[Mapping[str, object]]:
        """Arguments of block-set-write-threshold, one set for each overlay."""
        for node, _ in self.overlays:
            yield {"node-name": node, "write-threshold": self.limit_bytes}


def _size(path: Path) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        return 0
