# SPDX-License-Identifier: MIT
"""The door to image files: versions that are never written, and one folder per run with its overlays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.domain.findings import Finding
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A version's file as it lies in the store: 0444, fsynced, with a manifest beside it."""

    file: PurePosixPath
    format: str
    size_bytes: int
    virtual_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """`used_bytes` is what the overlays really occupy."""

    run: RunId
    path: Path
    overlays: tuple[Path, ...]
    used_bytes: int


class Disks(Protocol):
    def import_version(self, source: Path, *, format: str, image: str, number: int) -> StoredVersion:
        """Copy a foreign file into the store as a version: inspected (no backing file, data file, encryption, unknown feature), converted,
        checksummed, fsynced, renamed into place, read-only. After a failure nothing is left. Raises InvalidInput,
        ImageDamaged, DiskError, Exhausted."""

    def check_version(self, version: Version) -> Finding | None:
        """What is wrong with the file (missing, size, header, mode); None if nothing is. Cheap: does not read the data."""

    def create_run(
        self, run: RunId, bases: tuple[tuple[int, Version], ...], *, uid: int | None
    ) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        """A new run folder (0700) with one overlay per (place, version). Returns (place, chain) with the overlay
        first. An existing folder of the same run is removed first (a crash between its making and its start). Folder
        and overlays belong to `uid` when it is given. After a failure the folder is gone. Raises ImageDamaged (names
        the version), DiskError, Exhausted('disk')."""

    def open_run(self, run: RunId) -> RunFolder | None:
        """The folder, or None."""

    def runs(self) -> tuple[RunFolder, ...]:
        """Every run folder that exists."""

    def remove_run(self, run: RunId) -> None:
        """The folder and everything in it is gone. The caller has made sure that no process uses it. Absent is fine."""

    def free_mib(self) -> int:
        """Free space where overlays are written, MiB."""
