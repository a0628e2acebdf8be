# SPDX-License-Identifier: MIT
"""Proofs that a version's files have their checksums, remembered per boot in `images/.proven.json`.

A proof holds while the host runs and the inode (device, number, size, mtime, ctime) is as it was: ctime cannot be set back, so a write
by anybody, root included, makes the next launch read the file again.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from labvirt.contracts.images import Progress, silent
from labvirt.disks import health
from labvirt.disks.digest import Steps, sha256_of
from labvirt.disks.failure import FULL, translated
from labvirt.disks.inspection import open_regular
from labvirt.disks.places import Places, folder_name
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged, InvalidInput
from labvirt.system import locks
from labvirt.system.files import private_folder, read_bounded, write_atomic
from labvirt.system.machine import boot_id

log = logging.getLogger(__name__)

_MOST = 4096
"""Proofs that are remembered; the oldest are forgotten."""
_LARGEST = 4 << 20
"""Bytes of the memory that are believed."""


class Proofs:
    """The memory beside the versions. Several processes may use it at once: a file is read by one of them, the others wait for it."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._memory = places.images / ".proven.json"

    def prove(self, chain: tuple[Version, ...], progress: Progress = silent) -> None:
        """See contracts.images.ImageStore.proven. Raises ImageDamaged, DiskError."""
        steps = Steps(progress, *(version.size_bytes for version in chain))
        for version in chain:
            told = steps.next()
            with translated("prove", version.label):
                for file, digest in self._files(version):
                    self._prove(version, file, digest, told, again=False)
        steps.end()

    def read_again(self, version: Version, progress: Progress = silent) -> None:
        """Every byte of the version was read from the disk just now and is right: proven. Raises ImageDamaged, DiskError."""
        with translated("read", version.label):
            for file, digest in self._files(version):
                self._prove(version, file, digest, progress if file.name == version.file.name else silent, again=True)

    def forget(self, file: PurePosixPath) -> None:
        """Nothing in the folder of this version file is proven any more. Raises OSError."""
        with self._remembered() as files:
            for name in [name for name in files if PurePosixPath(name).parent == file.parent]:
                del files[name]
        self._lock_of(file).unlink(missing_ok=True)

    def _files(self, version: Version) -> list[tuple[PurePosixPath, str]]:
        """Every file of the version with the checksum it should have."""
        try:
            entry = health.read_manifest(self._places, version)
        except FileNotFoundError as error:
            raise _damaged(version, "it has no manifest, or its folder is gone") from error
        except ImageDamaged as error:
            raise _damaged(version, "its manifest is not one") from error
        named = folder_name(version.number, entry.sha256, entry.companions)
        if entry.sha256 != version.sha256 or version.file.parent.name != named or not set(version.companions) <= entry.companions.keys():
            raise _damaged(version, "its manifest belongs to another version")
        companions = [(version.file.with_name(name), entry.companions[name]) for name in version.companions]
        return [(version.file, version.sha256), *companions]

    def _prove(self, version: Version, file: PurePosixPath, digest: str, progress: Progress, *, again: bool) -> None:
        path = self._places.images / file
        if not again and self._known(path, file, digest):
            return
        lock = locks.take(self._lock_of(file), wait=True)
        assert lock is not None
        with lock:
            if not again and self._known(path, file, digest):  # somebody else read it while we waited
                return
            try:
                descriptor = open_regular(path, "file")
            except InvalidInput as error:
                raise _damaged(version, error.reason) from error
            try:
                before = _signature(os.fstat(descriptor))
                if again:
                    # What the kernel still has in memory would say nothing about the disk.
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                found = sha256_of(descriptor, progress)
                after = _signature(os.fstat(descriptor))
            finally:
                os.close(descriptor)
            if found != digest or before != after:
                with self._remembered() as files:
                    files.pop(str(file), None)
                why = f"{file.name} does not have the checksum it was made with" if found != digest else f"{file.name} is being changed"
                raise _damaged(version, why)
            with self._remembered() as files:
                files.pop(str(file), None)  # to the end: the newest
                files[str(file)] = {"sha256": digest, "inode": before}

    def _known(self, path: Path, file: PurePosixPath, digest: str) -> bool:
        try:
            signature = _signature(os.stat(path, follow_symlinks=False))
        except FileNotFoundError:
            return False
        return self._read().get(str(file)) == {"sha256": digest, "inode": signature}

    def _read(self) -> dict[str, object]:
        """What was proven since the boot. A memory that is not one remembers nothing."""
        try:
            found = json.loads(read_bounded(self._memory, _LARGEST))
            if found["boot"] == boot_id() and isinstance(found["files"], dict):
                return dict(found["files"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            pass
        return {}

    @contextmanager
    def _remembered(self) -> Iterator[dict[str, object]]:
        """The memory, locked; kept if it was changed."""
        lock = locks.take(private_folder(self._places.images / ".proving") / "memory.lock", wait=True)
        assert lock is not None
        with lock:
            files = self._read()
            before = dict(files)
            yield files
            if files != before:
                self._keep(dict(list(files.items())[-_MOST:]), lost=bool(before.keys() - files.keys()))

    def _keep(self, files: dict[str, object], *, lost: bool) -> None:
        """On a full disk nothing new is remembered, and what was read is read again next time; but what is not proven any more (`lost`) is
        never remembered."""
        try:
            write_atomic(self._memory, json.dumps({"boot": boot_id(), "files": files}, indent=1))
        except OSError as error:
            if error.errno not in FULL:
                raise
            log.warning("what was proven is not remembered: %s", error.strerror)
            if lost:
                self._memory.unlink(missing_ok=True)

    def _lock_of(self, file: PurePosixPath) -> Path:
        return private_folder(self._places.images / ".proving") / f"{file.parts[0]}.{file.parent.name}.lock"


def _signature(found: os.stat_result) -> list[int]:
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _damaged(version: Version, why: str) -> ImageDamaged:
    return ImageDamaged(
        f"{version.label} is damaged: {why}.",
        operation="prove",
        subject=version.label,
        hint=f"Choose another version: labvirt version list {version.image}",
    )
