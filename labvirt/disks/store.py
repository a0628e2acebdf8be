# SPDX-License-Identifier: MIT
"""The image store: versions, each a folder `IMAGE/vN-SHA/` with disk.qcow2 (0444) and manifest.json that nobody writes again.

A version appears by one rename of a finished folder (reliability.md 4.1 of the design), so being killed anywhere leaves either
no version or a whole one, and something in `.stage` that the next work removes. Which versions are wanted the database knows.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path, PurePosixPath

from labvirt.contracts.disks import StoredVersion
from labvirt.disks import conversion, manifest
from labvirt.disks.failure import disk_full, translated
from labvirt.disks.inspection import LARGEST_VIRTUAL, Facts, inspect, open_regular
from labvirt.disks.manifest import Manifest
from labvirt.disks.qcow2_header import HEAD_BYTES
from labvirt.disks.staging import staging
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.image import Version
from labvirt.domain.names import check_name
from labvirt.errors import ImageDamaged, InvalidInput, LabVirtError
from labvirt.system.files import sync_folder, write_atomic

_DISK = "disk.qcow2"
_RESERVE = 64 << 20
"""Bytes of the file system that an import leaves alone: SQLite and logs may live there."""


class VersionStore:
    """The folder `root` and the versions in it. Several processes may use it at once."""

    def __init__(self, root: Path, *, largest_virtual: int = LARGEST_VIRTUAL) -> None:
        self._root = root
        self._largest = largest_virtual

    def path(self, version: Version) -> Path:
        return self._root / version.file

    def import_version(self, source: Path, *, format: str, image: str, number: int) -> StoredVersion:
        """See contracts.disks. The source is copied first: what is inspected is what is converted."""
        check_name(image, "image")
        if number < 1:
            raise InvalidInput("version", "must be 1 or more")
        name = source.name
        descriptor = open_regular(source)
        try:
            with translated("import", name):
                inspect(descriptor, format=format, name=name, largest=self._largest)  # before gigabytes are copied
                self._root.mkdir(parents=True, exist_ok=True)
                with staging(self._root) as stage:
                    copy = stage / "source"
                    self._copy(descriptor, copy, name)
                    facts = self._inspect(copy, format, name)
                    if format == "qcow2":
                        conversion.check_qcow2(copy, name=name)
                    made = stage / "version"
                    made.mkdir(mode=0o755)
                    bounds = conversion.Bounds(file_bytes=self._largest_file(facts))
                    conversion.convert(copy, made / _DISK, source_format=format, name=name, bounds=bounds)
                    copy.unlink()
                    return self.seal(made, image=image, number=number)
        finally:
            os.close(descriptor)

    def seal(self, made: Path, *, image: str, number: int) -> StoredVersion:
        """`made`, a staged folder with a complete disk.qcow2, is a version: durable, read-only, with its manifest, under its final name.

        The same content under the same number is the same version: sealing it again gives the existing one. Raises ImageDamaged, OSError.
        """
        facts = self._inspect(made / _DISK, "qcow2", f"{image} v{number}")
        with (made / _DISK).open("rb") as file:
            head = hashlib.sha256(file.read(HEAD_BYTES)).hexdigest()
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())  # an error here is final: a second fsync would lie
            os.fchmod(file.fileno(), 0o444)
        entry = Manifest(
            image=image,
            number=number,
            format="qcow2",
            size_bytes=facts.size_bytes,
            virtual_bytes=facts.virtual_bytes,
            sha256=digest,
            head_sha256=head,
        )
        write_atomic(made / manifest.FILE_NAME, manifest.render(entry), mode=0o444)
        made.chmod(0o755)  # the umask must not decide
        sync_folder(made)
        relative = PurePosixPath(image, f"v{number}-{digest[:12]}")
        folder = self._root / relative.parent
        folder.mkdir(exist_ok=True)
        sync_folder(self._root)
        try:
            made.rename(self._root / relative)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self._same(self._root / relative, entry)
        sync_folder(folder)
        return StoredVersion(
            file=relative / _DISK,
            format=entry.format,
            size_bytes=entry.size_bytes,
            virtual_bytes=entry.virtual_bytes,
            sha256=entry.sha256,
        )

    def check(self, version: Version) -> Finding | None:
        """See contracts.disks. Reads the first HEAD_BYTES and the manifest."""
        path = self.path(version)
        try:
            descriptor = open_regular(path, "file")
        except InvalidInput as error:
            return _finding(version, "image-missing", error.reason)
        except LabVirtError as error:
            return _finding(version, "image-unreadable", error.sentence.rstrip("."))
        try:
            found = os.fstat(descriptor)
            head = os.pread(descriptor, HEAD_BYTES, 0)
            if found.st_size != version.size_bytes:
                return _finding(version, "image-size", f"its file has {found.st_size} bytes instead of {version.size_bytes}")
            facts = inspect(descriptor, format=version.format, name=version.label, largest=max(self._largest, version.virtual_bytes))
            if facts.virtual_bytes != version.virtual_bytes:
                return _finding(version, "image-header", f"its disk has {facts.virtual_bytes} bytes instead of {version.virtual_bytes}")
            entry = manifest.parse((path.parent / manifest.FILE_NAME).read_bytes())
        except InvalidInput as error:
            return _finding(version, "image-header", error.reason)
        except ImageDamaged as error:
            code = "image-manifest" if error.operation == "read the manifest" else "image-header"
            return _finding(version, code, error.sentence.rstrip("."))
        except OSError as error:
            return _finding(version, "image-unreadable", f"{path.parent} cannot be read: {error.strerror}")
        finally:
            os.close(descriptor)
        if (entry.sha256, entry.size_bytes) != (version.sha256, version.size_bytes):
            return _finding(version, "image-manifest", "its manifest belongs to another file")
        if hashlib.sha256(head).hexdigest() != entry.head_sha256:
            return _finding(version, "image-header", "the beginning of its file was changed")
        mode = stat.S_IMODE(found.st_mode)
        if not mode & 0o004:  # guests are users of their own: QEMU would be refused, with less helpful words
            return Finding(
                code="image-mode",
                severity=Severity.ERROR,
                sentence=f"{version.label} cannot be used: guests may not read its file (mode {mode:04o}).",
                fix=f"chmod 0444 {path}",
                subject=version.label,
            )
        if mode & 0o222:
            return Finding(
                code="image-mode",
                severity=Severity.WARNING,
                sentence=f"{version.label} may be written (mode {mode:04o}): a write would damage every desktop that starts from it.",
                fix=f"chmod 0444 {path}",
                subject=version.label,
            )
        return None

    def _inspect(self, path: Path, format: str, name: str) -> Facts:
        descriptor = open_regular(path)
        try:
            return inspect(descriptor, format=format, name=name, largest=self._largest)
        finally:
            os.close(descriptor)

    def _largest_file(self, facts: Facts) -> int:
        """Bytes that the converted file may have: all of the disk plus its tables (a 64 KiB L2 table maps 512 MiB), or what is free."""
        whole = facts.virtual_bytes + (facts.virtual_bytes >> 10) + (8 << 20)
        return min(whole, max(self._free(), 1 << 20))

    def _free(self) -> int:
        found = os.statvfs(self._root)
        return found.f_bavail * found.f_frsize - _RESERVE

    def _copy(self, source: int, target: Path, name: str) -> None:
        """The data of `source`, holes left out. Stops before it takes the reserve."""
        size = os.fstat(source).st_size
        if min(os.fstat(source).st_blocks * 512, size) > self._free():
            raise disk_full(name)
        output = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            at = 0
            while at < size:
                try:
                    at = os.lseek(source, at, os.SEEK_DATA)
                    end = os.lseek(source, at, os.SEEK_HOLE)
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise
                    break  # a hole up to the end
                at = _copy_range(source, output, at, min(end, size))
                if self._free() < 0:
                    raise disk_full(name)
            os.ftruncate(output, size)
        finally:
            os.close(output)

    def _same(self, folder: Path, entry: Manifest) -> None:
        """The version that stands there already has this manifest and this file; raises ImageDamaged otherwise."""
        try:
            found = manifest.parse((folder / manifest.FILE_NAME).read_bytes())
            with (folder / _DISK).open("rb") as file:
                same = found == entry and hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
        except (ImageDamaged, OSError):
            same = False
        if not same:
            raise ImageDamaged(
                f"{entry.image} v{entry.number} exists already and is damaged.",
                operation="seal",
                subject=f"{entry.image} v{entry.number}",
                hint=f"If nothing uses it, remove the folder {folder} and try again.",
            )


def _copy_range(source: int, target: int, start: int, end: int) -> int:
    """At most 64 MiB of it at a time, shared by the file system where it can (copy_file_range(2)). Returns where it stopped."""
    count = min(end - start, 64 << 20)
    try:
        done = os.copy_file_range(source, target, count, start, start)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        data = os.pread(source, min(count, 1 << 20), start)
        done = os.pwrite(target, data, start)
    return start + done if done else end  # nothing more to read: it was cut while we copied, the inspection will see it


def _finding(version: Version, code: str, why: str) -> Finding:
    why = why.removeprefix(f"{version.label} is not accepted: ").removeprefix(f"{version.label}: ")
    return Finding(
        code=code,
        severity=Severity.ERROR,
        sentence=f"{version.label} cannot be used: {why}. Choose another version, or import it again.",
        fix=f"labvirt image show {version.image}",
        subject=version.label,
    )
