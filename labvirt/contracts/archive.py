# SPDX-License-Identifier: MIT
"""The door to backups: a controller in one file, and a state folder out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from labvirt.contracts.images import Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """The file of a version, below images/. `included`: it is in the backup itself."""

    image: str
    number: int
    file: PurePosixPath
    size_bytes: int
    sha256: str
    included: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """What a backup says of itself. `made_by` names the site and the job: who begins the job again knows its own file by it."""

    made_at: datetime
    made_by: str
    labvirt: str
    """The version of LabVirt that made it."""
    images: tuple[ImageFile, ...] = ()
    drafts: tuple[str, ...] = ()
    """Drafts that lived then; their disks are never in a backup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    path: Path
    size_bytes: int
    members: int
    facts: BackupFacts


class Archives(Protocol):
    def write(
        self, target: Path, facts: BackupFacts, copy_database: Callable[[Path], None], *, with_images: bool, progress: Progress = silent
    ) -> Written:
        """`target`, which must not exist (InvalidInput), is a backup (0600), whole and durable. `copy_database` puts a consistent copy of
        the database at the path it is given. The files of `facts.images` are read only `with_images`, and compared with their checksums;
        one that is missing is not included. After a failure `target` does not exist. Raises ImageDamaged, DiskError, Exhausted('disk')."""

    def facts(self, file: Path) -> BackupFacts:
        """What this backup says of itself. Raises InvalidInput (it is none, or a newer LabVirt made it), DiskError."""
