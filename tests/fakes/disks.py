# SPDX-License-Identifier: MIT
"""A store that only remembers what was imported: enough for use cases that never start anything."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from labvirt.contracts.disks import RunFolder, StoredVersion
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.domain.findings import Finding
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.errors import DiskError


class MemoryDisks:
    """Keeps contracts.disks.Disks. `fails` makes the next import fail."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.fails = False
        self.bad: set[str] = set()

    def import_version(self, source: Path, *, format: str, image: str, number: int) -> StoredVersion:
        if self.fails:
            raise DiskError("The disk cannot be written.")
        data = source.read_bytes()
        name = f"{image}/v{number}.{format}"
        assert name not in self.stored, "a number was used twice"
        self.stored.append(name)
        return StoredVersion(
            file=PurePosixPath(name),
            format=format,
            size_bytes=len(data),
            virtual_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def check_version(self, version: Version) -> Finding | None:
        from labvirt.domain.findings import Severity

        if version.label not in self.bad:
            return None
        return Finding(code="image-damaged", severity=Severity.ERROR, sentence=f"{version.label} is damaged.", fix="labvirt image publish")

    def create_run(
        self, run: RunId, bases: tuple[tuple[int, Version], ...], *, uid: int | None
    ) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        raise NotImplementedError

    def open_run(self, run: RunId) -> RunFolder | None:
        return None

    def runs(self) -> tuple[RunFolder, ...]:
        return ()

    def remove_run(self, run: RunId) -> None:
        raise NotImplementedError

    def free_mib(self) -> int:
        return 1000
