# SPDX-License-Identifier: MIT
"""FakeDisks keeps the contract without QEMU and without root: files are real but small, what they stand for is remembered in JSON.

Inspection is the real one. A version's file holds only the beginning of its source; every process that is given the same
folders sees the same memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from labvirt.contracts.disks import RunFolder, StoredVersion
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks.driver import chains, refuse_damaged
from labvirt.disks.failure import disk_full, translated
from labvirt.disks.inspection import LARGEST_VIRTUAL, inspect, open_regular
from labvirt.disks.qcow2_header import HEAD_BYTES
from labvirt.disks.runs import Base, RunFolders
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.domain.names import check_name
from labvirt.errors import InvalidInput
from labvirt.system import locks
from labvirt.system.files import write_atomic

_NEW: dict[str, Any] = {"free_mib": 65536, "versions": {}}


class FakeDisks:
    """`memory` is the JSON file (state/fake/disks.json). `free_mib` in it may be edited: 0 is a full disk."""

    def __init__(self, images: Path, runs: Path, memory: Path, *, largest_virtual: int = LARGEST_VIRTUAL) -> None:
        self._images = images.absolute()
        self._memory = memory.absolute()
        self._runs = RunFolders(runs.absolute())
        self._largest = largest_virtual

    def import_version(self, source: Path, *, format: str, image: str, number: int) -> StoredVersion:
        check_name(image, "image")
        if number < 1:
            raise InvalidInput("version", "must be 1 or more")
        descriptor = open_regular(source)
        try:
            with translated("import", source.name), self._remembered() as memory:
                facts = inspect(descriptor, format=format, name=source.name, largest=self._largest)
                self._need_space(memory, source.name)
                head = os.pread(descriptor, HEAD_BYTES, 0)
                digest = hashlib.sha256(head).hexdigest()
                file = PurePosixPath(image, f"v{number}-{digest[:12]}", "disk.qcow2")
                (self._images / file).parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self._images / file, head, mode=0o444)
                memory["versions"][str(file)] = {"sha256": digest, "virtual_bytes": facts.virtual_bytes}
        finally:
            os.close(descriptor)
        return StoredVersion(file=file, format="qcow2", size_bytes=len(head), virtual_bytes=facts.virtual_bytes, sha256=digest)

    def check_version(self, version: Version) -> Finding | None:
        path = self._images / version.file
        try:
            descriptor = open_regular(path, "file")
        except InvalidInput as error:
            return _finding(version, "image-missing", error.reason)
        try:
            status, content = os.fstat(descriptor), os.pread(descriptor, HEAD_BYTES + 1, 0)
        finally:
            os.close(descriptor)
        with self._remembered() as memory:
            known = memory["versions"].get(str(version.file))
        if known is None or known["sha256"] != version.sha256:
            return _finding(version, "image-manifest", "its manifest belongs to another file")
        if status.st_size != version.size_bytes:
            return _finding(version, "image-size", f"its file has {status.st_size} bytes instead of {version.size_bytes}")
        if hashlib.sha256(content).hexdigest() != version.sha256:
            return _finding(version, "image-header", "the beginning of its file was changed")
        if status.st_mode & 0o222:
            return Finding(
                code="image-mode",
                severity=Severity.WARNING,
                sentence=f"{version.label} may be written: a write would damage every desktop that starts from it.",
                fix=f"chmod 0444 {path}",
                subject=version.label,
            )
        return None

    def create_run(
        self, run: RunId, bases: tuple[tuple[int, Version], ...], *, uid: int | None
    ) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        for _, version in bases:
            refuse_damaged(self.check_version(version))
        with self._remembered() as memory:
            self._need_space(memory, str(run))
        stands_on = [
            Base(place=place, path=self._images / version.file, format=version.format, virtual_bytes=version.virtual_bytes)
            for place, version in bases
        ]
        return chains(stands_on, self._runs.create(run, stands_on, uid=uid if os.geteuid() == 0 else None))

    def open_run(self, run: RunId) -> RunFolder | None:
        return self._runs.open(run)

    def runs(self) -> tuple[RunFolder, ...]:
        return self._runs.all()

    def remove_run(self, run: RunId) -> None:
        self._runs.remove(run)

    def free_mib(self) -> int:
        with self._remembered() as memory:
            return int(memory["free_mib"])

    @staticmethod
    def _need_space(memory: dict[str, Any], subject: str) -> None:
        if memory["free_mib"] <= 0:
            raise disk_full(subject)

    @contextmanager
    def _remembered(self) -> Iterator[dict[str, Any]]:
        """The memory, locked; what was changed in it is kept if the block ends well."""
        with translated("open the memory of", "the fake disks"):
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            lock = locks.take(self._memory.with_suffix(".lock"), wait=True)
            assert lock is not None
        with lock:
            before = self._memory.read_text(encoding="utf-8") if self._memory.exists() else ""
            memory: dict[str, Any] = json.loads(before) if before else json.loads(json.dumps(_NEW))
            yield memory
            after = json.dumps(memory, indent=2, sort_keys=True)
            if after != before:
                write_atomic(self._memory, after)


def _finding(version: Version, code: str, why: str) -> Finding:
    return Finding(
        code=code,
        severity=Severity.ERROR,
        sentence=f"{version.label} cannot be used: {why}. Choose another version, or import it again.",
        fix=f"labvirt image show {version.image}",
        subject=version.label,
    )
