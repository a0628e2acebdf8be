# SPDX-License-Identifier: MIT
"""The door to the image store: versions' files, which appear whole and are never written again.

Foreign files are inspected by two independent readers that must agree, and converted in a jail. `Progress` is called often from
the thread that works; what it raises ends the work, and then nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Protocol

from labvirt.domain.findings import Finding
from labvirt.domain.image import Version

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)."""


def silent(done: int, total: int) -> None:
    """A Progress that tells nobody."""


class SealMethod(StrEnum):
    """How a draft becomes a file of its own."""

    LAYER = "layer"
    """Its changes alone, standing on the parent's file."""
    REFLINK = "reflink"
    """A copy that shares its blocks with the parent's file (XFS, Btrfs), with the changes written into it."""
    FLATTEN = "flatten"
    """A full copy of everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A version's file as it lies in the store: 0444, fsynced, with a manifest beside it. `backing` is the number of the version of the
    same image below it."""

    file: PurePosixPath
    format: str
    size_bytes: int
    virtual_bytes: int
    sha256: str
    backing: int | None = None
    companions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEntry:
    """One version folder that exists in the store, whatever the database says. `stands_on` is read from the real header."""

    file: PurePosixPath
    used_bytes: int
    stands_on: PurePosixPath | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    path: Path
    size_bytes: int
    sha256: str


class ImageStore(Protocol):
    def import_version(self, source: Path, *, format: str, image: str, number: int, progress: Progress = silent) -> StoredVersion:
        """Copy a foreign file into the store as a version: inspected by both readers (no backing file, data file, encryption, internal
        snapshot, unknown feature, absurd size), converted, checksummed, fsynced, renamed into place, read-only. After a failure nothing is
        left. Raises InvalidInput, ImageDamaged, DiskError, Exhausted('disk')."""

    def blank_version(self, *, virtual_bytes: int, image: str, number: int) -> StoredVersion:
        """An empty disk. Raises as `import_version`."""

    def seal(
        self, draft: str, chain: tuple[Version, ...], *, number: int, method: SealMethod | None = None, progress: Progress = silent
    ) -> StoredVersion:
        """The draft's present content, over `chain` (its parent's, top first), is version `number` of the same image: durable, read-only,
        with companions and manifest (reliability.md 4.1, steps 1 to 5). The draft's file itself is not changed and not believed: its header
        must name exactly the parent's file, and `qemu-img check` runs in the jail. Sealing the same content under the same number again
        gives the existing one. `method` None: REFLINK where the file system can and the parent is complete by itself, else LAYER.
        Raises InUse (a process has the draft open), ImageDamaged, DiskError, Exhausted('disk')."""

    def flatten(self, chain: tuple[Version, ...], *, progress: Progress = silent) -> StoredVersion:
        """chain[0]'s guest-visible content as a complete file of its own, under the same image and number (another folder: the name has
        the checksum). Both are compared by qemu-img before it gets its name. The old file stays until garbage collection.
        Raises as `seal`."""

    def export(
        self, chain: tuple[Version, ...], target: Path, *, format: str, compress: bool = False, progress: Progress = silent
    ) -> Exported:
        """`target`, which must not exist (InvalidInput), is a complete qcow2 or raw file (0600) with the content of chain[0]; durable.
        After a failure it does not exist. Raises as `import_version`."""

    def check(self, version: Version) -> Finding | None:
        """What is wrong with the file (missing, size, header, mode, companions); None if nothing is. Cheap: does not read the data."""

    def proven(self, chain: tuple[Version, ...], progress: Progress = silent) -> None:
        """Every file of the chain has the checksum of its version. Reads only those that were not read since the host booted, or whose
        inode (device, number, size, mtime, ctime) is not as it was then. Raises ImageDamaged that names version and reason."""

    def scrub(self, version: Version, progress: Progress = silent) -> Finding | None:
        """Reads every byte and compares; None when all is well (that counts as proven)."""

    def entries(self) -> tuple[StoreEntry, ...]:
        """Every version folder that is there, with what its real header stands on."""

    def references(self) -> dict[PurePosixPath, tuple[str, ...]]:
        """Which files of the store are stood on, and by whom ('lab-a-07.g3', 'tiny.d5', 'tiny v4', 'kept lab-a-07.g2'): from the real
        headers of every overlay, draft, kept overlay and version. Raises DiskError when one of them cannot be read: then nobody may
        conclude that a file is unused."""

    def tidy(self) -> None:
        """What works that died left half-made is gone; works that go on are not touched. Raises DiskError."""

    def remove(self, file: PurePosixPath) -> None:
        """The version folder is gone. Looks at `references()` itself once more. Raises InUse (names by whom), DiskError. Absent is fine."""
