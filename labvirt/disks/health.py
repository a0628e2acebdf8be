# SPDX-License-Identifier: MIT
"""The cheap check of one version: its file, header, manifest, mode and companions, without reading the data."""

from __future__ import annotations

import hashlib
import os
import stat

from labvirt.disks import manifest
from labvirt.disks.inspection import inspect, open_regular
from labvirt.disks.manifest import Manifest
from labvirt.disks.places import Places, folder_name, number_of
from labvirt.disks.qcow2_header import HEAD_BYTES
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged, InvalidInput, LabVirtError
from labvirt.system.files import read_bounded


def check(places: Places, version: Version, *, largest: int) -> Finding | None:
    """See contracts.images. Reads the first HEAD_BYTES and the manifest."""
    path = places.disk(version)
    try:
        descriptor = open_regular(path, "file")
    except InvalidInput as error:
        return damaged(version, "image-missing", error.reason)
    except LabVirtError as error:
        return damaged(version, "image-unreadable", error.sentence.rstrip("."))
    try:
        found = os.fstat(descriptor)
        head = os.pread(descriptor, HEAD_BYTES, 0)
        if found.st_size != version.size_bytes:
            return damaged(version, "image-size", f"its file has {found.st_size} bytes instead of {version.size_bytes}")
        entry = read_manifest(places, version)
        below = None if entry.backing is None else entry.backing.encode()
        most = max(largest, version.virtual_bytes)
        facts = inspect(descriptor, format=version.format, name=version.label, largest=most, backing=below)
        if facts.virtual_bytes != version.virtual_bytes:
            return damaged(version, "image-header", f"its disk has {facts.virtual_bytes} bytes instead of {version.virtual_bytes}")
        why = _disagrees(version, entry)
        if why is not None:
            return damaged(version, "image-manifest", why)
        if hashlib.sha256(head).hexdigest() != entry.head_sha256:
            return damaged(version, "image-header", "the beginning of its file was changed")
        for name in version.companions:
            os.close(open_regular(path.parent / name, "companion"))
    except InvalidInput as error:
        return damaged(version, "image-companion" if error.field == "companion" else "image-header", error.reason)
    except ImageDamaged as error:
        code = "image-manifest" if error.operation == "read the manifest" else "image-header"
        return damaged(version, code, error.sentence.rstrip("."))
    except OSError as error:
        return damaged(version, "image-unreadable", f"{path.parent} cannot be read: {error.strerror}")
    finally:
        os.close(descriptor)
    return _mode(version, stat.S_IMODE(found.st_mode), str(path))


def read_manifest(places: Places, version: Version) -> Manifest:
    """Raises ImageDamaged, OSError."""
    return manifest.parse(read_bounded(places.disk(version).parent / manifest.FILE_NAME, manifest.LARGEST))


def _disagrees(version: Version, entry: Manifest) -> str | None:
    """How the manifest and the database contradict each other."""
    if (entry.sha256, entry.size_bytes) != (version.sha256, version.size_bytes):
        return "its manifest belongs to another file"
    if sorted(entry.companions) != sorted(version.companions):
        return "its manifest names other companions"
    if version.file.parent.name != folder_name(version.number, entry.sha256, entry.companions):
        return "its folder belongs to another version"
    below = None if entry.backing is None else number_of(entry.backing.split("/")[-2]) if entry.backing.count("/") == 2 else -1
    if below != version.backing:
        return "it stands on another file than is known of it"
    return None


def _mode(version: Version, mode: int, path: str) -> Finding | None:
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


def damaged(version: Version, code: str, why: str) -> Finding:
    why = why.removeprefix(f"{version.label} is not accepted: ").removeprefix(f"{version.label}: ")
    return Finding(
        code=code,
        severity=Severity.ERROR,
        sentence=f"{version.label} cannot be used: {why}. Choose another version, or import it again.",
        fix=f"labvirt image show {version.image}",
        subject=version.label,
    )
