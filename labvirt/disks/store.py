# SPDX-License-Identifier: MIT
"""The image store: versions, each a folder `IMAGE/vN-SHA/` with disk.qcow2 (0444) and manifest.json that nobody writes again.

A version appears by one rename of a finished folder (reliability.md 4.1 of the design), so being killed anywhere leaves either
no version or a whole one, and something in `.stage` that the next work removes. Which versions are wanted the database knows.
"""

from __future__ import annotations

import contextlib
from pathlib import Path, PurePosixPath

from labvirt.contracts.images import Exported, Progress, SealMethod, StoredVersion, StoreEntry, silent
from labvirt.disks import exporting, health, importing, references, sealing
from labvirt.disks.failure import translated
from labvirt.disks.inspection import LARGEST_VIRTUAL
from labvirt.disks.places import Places, is_version_file
from labvirt.disks.proofs import Proofs
from labvirt.disks.staging import clean, put_away
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged, InUse, InvalidInput


class VersionStore:
    """The folder `root` and the versions in it. Several processes may use it at once. Keeps the contract contracts.images.ImageStore."""

    def __init__(self, root: Path, *, drafts: Path, runs: Path, kept: Path, largest_virtual: int = LARGEST_VIRTUAL) -> None:
        """The folders of the state folder (config.StatePaths); `root` is made when needed."""
        self._places = Places(images=root.absolute(), drafts=drafts.absolute(), runs=runs.absolute(), kept=kept.absolute())
        self._proofs = Proofs(self._places)
        self._largest = largest_virtual

    def path(self, version: Version) -> Path:
        return self._places.disk(version)

    def import_version(self, source: Path, *, format: str, image: str, number: int, progress: Progress = silent) -> StoredVersion:
        root, largest = self._places.images, self._largest
        return importing.import_version(root, source, format=format, image=image, number=number, largest=largest, progress=progress)

    def blank_version(self, *, virtual_bytes: int, image: str, number: int) -> StoredVersion:
        root, largest = self._places.images, self._largest
        return importing.blank_version(root, virtual_bytes=virtual_bytes, image=image, number=number, largest=largest)

    def seal(
        self, draft: str, chain: tuple[Version, ...], *, number: int, method: SealMethod | None = None, progress: Progress = silent
    ) -> StoredVersion:
        places, proofs, largest = self._places, self._proofs, self._largest
        return sealing.seal(places, proofs, draft, chain, number=number, method=method, largest=largest, progress=progress)

    def flatten(self, chain: tuple[Version, ...], *, progress: Progress = silent) -> StoredVersion:
        return exporting.flatten(self._places, self._proofs, chain, largest=self._largest, progress=progress)

    def export(
        self, chain: tuple[Version, ...], target: Path, *, format: str, compress: bool = False, progress: Progress = silent
    ) -> Exported:
        return exporting.export(self._places, self._proofs, chain, target, format=format, compress=compress, progress=progress)

    def check(self, version: Version) -> Finding | None:
        return health.check(self._places, version, largest=self._largest)

    def proven(self, chain: tuple[Version, ...], progress: Progress = silent) -> None:
        self._proofs.prove(chain, progress)

    def scrub(self, version: Version, progress: Progress = silent) -> Finding | None:
        finding = self.check(version)
        if finding is not None and finding.severity is Severity.ERROR:
            return finding
        try:
            self._proofs.read_again(version, progress)
        except ImageDamaged as error:
            return health.damaged(version, "image-content", error.sentence.removeprefix(f"{version.label} is damaged: ").rstrip("."))
        return finding

    def entries(self) -> tuple[StoreEntry, ...]:
        return references.entries(self._places)

    def references(self) -> dict[PurePosixPath, tuple[str, ...]]:
        return references.references(self._places)

    def tidy(self) -> None:
        with translated("tidy the stage of", str(self._places.images)):
            clean(self._places.images)

    def remove(self, file: PurePosixPath) -> None:
        if not is_version_file(file):
            raise InvalidInput("file", f"{file} is not called like a version's file")
        by = self.references().get(file)
        if by:
            raise InUse("version's file", str(file.parent), ", ".join(by))
        folder = self._places.images / file.parent
        with translated("remove", str(file.parent)):
            if folder.is_symlink() or not folder.is_dir():
                return
            put_away(self._places.images, folder)
            self._proofs.forget(file)
            with contextlib.suppress(OSError):  # other versions are in it
                folder.parent.rmdir()
