# SPDX-License-Identifier: MIT
"""The last steps of every version: a finished folder of the stage becomes durable, read-only, and gets its name (reliability.md 4.1)."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

from labvirt.contracts.images import Progress, StoredVersion, silent
from labvirt.disks import gathering, manifest
from labvirt.disks.digest import sha256_of
from labvirt.disks.inspection import inspect, open_regular
from labvirt.disks.manifest import Manifest
from labvirt.disks.places import DISK, folder_name, number_of
from labvirt.disks.qcow2_header import HEAD_BYTES
from labvirt.errors import ImageDamaged, LabVirtError
from labvirt.system.files import read_bounded, sync_folder, write_atomic


def shelve(
    root: Path,
    made: Path,
    *,
    image: str,
    number: int,
    largest: int,
    backing: bytes | None = None,
    beside: Path | None = None,
    origin: str | None = None,
    progress: Progress = silent,
) -> StoredVersion:
    """`made`, a staged folder with a whole disk.qcow2 (a layer that names `backing`, if that is given), is version `number` of `image`:
    durable, read-only, with the companions of the folder `beside` and its manifest (which notes the `origin`), under its final name.

    The same content under the same number is the same version: then the existing one is given. Raises ImageDamaged, Exhausted('disk'),
    DiskError, OSError: an fsync that failed is final, and there is no version.
    """
    label = f"{image} v{number}"
    extra = gathering.gather(beside, made) if beside is not None else {}
    descriptor = open_regular(made / DISK)
    try:
        facts = inspect(descriptor, format="qcow2", name=label, largest=largest, backing=backing)
        os.fsync(descriptor)  # an error here is final: a second fsync would lie
        digest = sha256_of(descriptor, progress)
        head = hashlib.sha256(os.pread(descriptor, HEAD_BYTES, 0)).hexdigest()
        os.fchmod(descriptor, 0o444)
    finally:
        os.close(descriptor)
    entry = Manifest(
        image=image,
        number=number,
        format="qcow2",
        size_bytes=facts.size_bytes,
        virtual_bytes=facts.virtual_bytes,
        sha256=digest,
        head_sha256=head,
        backing=None if backing is None else backing.decode(),
        companions=extra,
        origin=origin,
    )
    write_atomic(made / manifest.FILE_NAME, manifest.render(entry), mode=0o444)
    made.chmod(0o755)  # the umask must not decide
    sync_folder(made)
    relative = PurePosixPath(image, folder_name(number, digest, extra))
    _name(root, made, relative, entry)
    return _stored(relative, entry)


def made_before(root: Path, image: str, number: int, origin: str) -> StoredVersion | None:
    """The version of this number that was sealed from this origin, if it is there and whole. Raises ImageDamaged, OSError."""
    for path in sorted((root / image).glob(f"v{number}-*/{manifest.FILE_NAME}")):
        try:
            entry = manifest.parse(read_bounded(path, manifest.LARGEST))
        except ImageDamaged:
            continue
        if entry.origin == origin:
            _same(path.parent, entry)
            sync_folder(path.parent.parent)
            return _stored(PurePosixPath(image, path.parent.name), entry)
    return None


def _stored(folder: PurePosixPath, entry: Manifest) -> StoredVersion:
    below = None if entry.backing is None else number_of(PurePosixPath(entry.backing).parent.name)
    return StoredVersion(
        file=folder / DISK,
        format=entry.format,
        size_bytes=entry.size_bytes,
        virtual_bytes=entry.virtual_bytes,
        sha256=entry.sha256,
        backing=below,
        companions=tuple(sorted(entry.companions)),
    )


def _name(root: Path, made: Path, relative: PurePosixPath, entry: Manifest) -> None:
    folder, final = root / relative.parent, root / relative
    folder.mkdir(exist_ok=True)
    sync_folder(root)
    try:
        made.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _same(final, entry)
        sync_folder(folder)
        return
    try:
        sync_folder(folder)
    except OSError:
        # Nobody may find what may be gone after a power cut; the stage removes it.
        final.rename(made)
        raise


def _same(folder: Path, entry: Manifest) -> None:
    """The version that stands there already has this manifest and these files; raises ImageDamaged otherwise."""
    try:
        found = manifest.parse(read_bounded(folder / manifest.FILE_NAME, manifest.LARGEST))
        same = replace(found, origin=None) == replace(entry, origin=None)
        for name, digest in {DISK: entry.sha256, **entry.companions}.items():
            descriptor = open_regular(folder / name)
            try:
                same = same and sha256_of(descriptor) == digest
            finally:
                os.close(descriptor)
    except (LabVirtError, OSError):
        same = False
    if not same:
        raise ImageDamaged(
            f"{entry.image} v{entry.number} exists already and is damaged.",
            operation="seal",
            subject=f"{entry.image} v{entry.number}",
            hint=f"If nothing uses it, remove the folder {folder} and try again.",
        )
