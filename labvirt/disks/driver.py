# SPDX-License-Identifier: MIT
"""QcowDisks keeps the contract labvirt.contracts.disks with real files: versions from store.py, run folders from runs.py."""

from __future__ import annotations

from pathlib import Path

from labvirt.contracts.disks import RunFolder, StoredVersion
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks.failure import translated
from labvirt.disks.inspection import LARGEST_VIRTUAL
from labvirt.disks.runs import Base, RunFolders
from labvirt.disks.store import VersionStore
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged
from labvirt.system.machine import disk_free_mib


class QcowDisks:
    """`images` and `runs` are folders of the state folder (config.StatePaths); they are made when needed."""

    def __init__(self, images: Path, runs: Path, *, largest_virtual: int = LARGEST_VIRTUAL) -> None:
        self._runs_root = runs.absolute()
        self._store = VersionStore(images.absolute(), largest_virtual=largest_virtual)
        self._runs = RunFolders(self._runs_root)

    def import_version(self, source: Path, *, format: str, image: str, number: int) -> StoredVersion:
        return self._store.import_version(source, format=format, image=image, number=number)

    def check_version(self, version: Version) -> Finding | None:
        return self._store.check(version)

    def create_run(
        self, run: RunId, bases: tuple[tuple[int, Version], ...], *, uid: int | None
    ) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        for _, version in bases:
            refuse_damaged(self._store.check(version))
        stands_on = [
            Base(place=place, path=self._store.path(version), format=version.format, virtual_bytes=version.virtual_bytes)
            for place, version in bases
        ]
        return chains(stands_on, self._runs.create(run, stands_on, uid=uid))

    def open_run(self, run: RunId) -> RunFolder | None:
        return self._runs.open(run)

    def runs(self) -> tuple[RunFolder, ...]:
        return self._runs.all()

    def remove_run(self, run: RunId) -> None:
        self._runs.remove(run)

    def free_mib(self) -> int:
        with translated("read the free space of", str(self._runs_root)):
            self._runs_root.mkdir(parents=True, exist_ok=True)
            return disk_free_mib(self._runs_root)


def refuse_damaged(finding: Finding | None) -> None:
    """Raises ImageDamaged with the finding's words when a guest may not start from that version."""
    if finding is not None and finding.severity is Severity.ERROR:
        raise ImageDamaged(finding.sentence, operation="make the overlay", subject=finding.subject, hint=finding.fix)


def chains(bases: list[Base], overlays: tuple[Path, ...]) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
    """(place, chain) of each disk, the overlay first."""
    return tuple(
        (base.place, (DiskLayer(path=overlay, format="qcow2"), DiskLayer(path=base.path, format=base.format)))
        for base, overlay in zip(bases, overlays, strict=True)
    )
