# SPDX-License-Identifier: MIT
"""The driver of backups, over one state folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from labvirt.archive import reading, writing
from labvirt.contracts.archive import BackupFacts, Written
from labvirt.contracts.images import Progress, silent


class TarArchives:
    """Keeps contracts.archive.Archives."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def write(
        self, target: Path, facts: BackupFacts, copy_database: Callable[[Path], None], *, with_images: bool, progress: Progress = silent
    ) -> Written:
        return writing.write(self._state, target, facts, copy_database, with_images=with_images, progress=progress)

    def facts(self, file: Path) -> BackupFacts:
        return reading.facts(file)
