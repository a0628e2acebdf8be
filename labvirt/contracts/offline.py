# SPDX-License-Identifier: MIT
"""The door to files inside a disk that nobody runs: read-only, by programs in a jail, never by mounting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineEntry:
    """A file or folder inside: `path` starts with the partition's number ('1/home/student/work.odt')."""

    path: str
    folder: bool
    size_bytes: int
    modified: str = ""


class OfflineFiles(Protocol):
    def list(self, layers: tuple[DiskLayer, ...], folder: str = "", progress: Progress = silent) -> tuple[OfflineEntry, ...]:
        """What lies in that folder ('' : the partitions). Raises NotFound, Unsupported (a file system nobody here can read: named),
        HostNotReady (a program is missing: the command that installs it), DiskError."""

    def fetch(self, layers: tuple[DiskLayer, ...], path: str, target: Path, progress: Progress = silent) -> int:
        """The file or folder is copied into the folder `target` (which must be empty or absent); regular files and folders only: links and
        devices are left out. Returns the bytes written. After a failure `target` is as before. Raises as `list`, Exhausted('disk')."""
