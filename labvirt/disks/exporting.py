# SPDX-License-Identifier: MIT
"""A version as a file for somebody else, and a version flattened into a file of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.contracts.images import Exported, Progress, StoredVersion
from labvirt.disks import conversion, copying
from labvirt.disks.digest import Steps, sha256_of
from labvirt.disks.failure import translated
from labvirt.disks.importing import largest_file
from labvirt.disks.inspection import Facts, open_regular
from labvirt.disks.jail import Bounds
from labvirt.disks.places import DISK, Places
from labvirt.disks.proofs import Proofs
from labvirt.disks.shelf import shelve
from labvirt.disks.staging import staging
from labvirt.domain.image import Version
from labvirt.errors import InvalidInput
from labvirt.system import locks
from labvirt.system.files import remove_tree, sync_folder

_PREFIX = ".labvirt-export-"


def flatten(places: Places, proofs: Proofs, chain: tuple[Version, ...], *, largest: int, progress: Progress) -> StoredVersion:
    """See contracts.images."""
    top, root = chain[0], places.images
    virtual = top.virtual_bytes
    steps = Steps(progress, sum(version.size_bytes for version in chain), virtual, virtual, virtual // 4)
    proofs.prove(chain, steps.next())
    layers = places.layers(chain)
    with translated("flatten", top.label):
        copying.need(root, conversion.measure(layers, name=top.label), top.label)
        with staging(root) as stage:
            made = stage / "version"
            made.mkdir(mode=0o755)
            bounds = Bounds.for_bytes(virtual, file_bytes=largest_file(root, _facts(top)))
            conversion.convert(layers, made / DISK, name=top.label, bounds=bounds, progress=steps.next(), weight=virtual)
            mine = places.layers_of(made / DISK)
            conversion.compare(layers, mine, name=top.label, bounds=Bounds.for_bytes(virtual), progress=steps.next(), weight=virtual)
            beside = places.disk(top).parent
            return shelve(root, made, image=top.image, number=top.number, largest=largest, beside=beside, progress=steps.next())


def export(
    places: Places, proofs: Proofs, chain: tuple[Version, ...], target: Path, *, format: str, compress: bool, progress: Progress
) -> Exported:
    """See contracts.images."""
    if format not in ("qcow2", "raw"):
        raise InvalidInput("format", "must be qcow2 or raw")
    if compress and format == "raw":
        raise InvalidInput("compress", "a raw file cannot be compressed", hint="Choose the format qcow2.")
    target = target.absolute()
    if os.path.lexists(target):
        raise _exists(target)
    if not target.parent.is_dir():
        raise InvalidInput("target", f"there is no folder {target.parent}", hint="Make it first, or choose another one.")
    top = chain[0]
    virtual = top.virtual_bytes
    steps = Steps(progress, sum(version.size_bytes for version in chain), virtual, virtual // 4)
    proofs.prove(chain, steps.next())
    layers = places.layers(chain)
    with translated("export", top.label), _beside(target.parent) as stage:
        needed = conversion.measure(layers, name=top.label, format=format)
        if not compress:  # packed it will be smaller, nobody knows how much: then the bounds below have to do
            copying.need(stage, needed, top.label)
        made = stage / "disk"
        bounds = Bounds.for_bytes(virtual, file_bytes=largest_file(stage, _facts(top)))
        told = steps.next()
        conversion.convert(layers, made, name=top.label, format=format, compress=compress, bounds=bounds, progress=told, weight=virtual)
        descriptor = open_regular(made)
        try:
            os.fchmod(descriptor, 0o600)
            os.fsync(descriptor)  # an error here is final: a second fsync would lie
            digest, size = sha256_of(descriptor, steps.next()), os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        _name(made, target)
    return Exported(path=target, size_bytes=size, sha256=digest)


def _name(made: Path, target: Path) -> None:
    """`made` is called `target`; never in place of another file."""
    try:
        os.link(made, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except PermissionError:  # a file system without hard links: a stick, for instance
        if os.path.lexists(target):
            raise _exists(target) from None
        made.rename(target)
    try:
        sync_folder(target.parent)
    except OSError:
        with contextlib.suppress(OSError):
            target.unlink()
        raise


@contextmanager
def _beside(parent: Path) -> Iterator[Path]:
    """A private folder on the target's file system, gone afterwards. Those of dead exports in the same place go too. Raises OSError."""
    for left in parent.glob(f"{_PREFIX}*.lock"):
        lock = locks.take(left)
        if lock is not None:
            with lock:
                remove_tree(left.with_suffix(""))
                left.unlink(missing_ok=True)
    folder = parent / f"{_PREFIX}{secrets.token_hex(6)}"
    own = folder.with_name(f"{folder.name}.lock")
    lock = locks.take(own)
    assert lock is not None
    with lock:
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            remove_tree(folder)
            own.unlink(missing_ok=True)


def _facts(version: Version) -> Facts:
    return Facts(format=version.format, size_bytes=version.size_bytes, virtual_bytes=version.virtual_bytes)


def _exists(target: Path) -> InvalidInput:
    return InvalidInput("target", f"{target} exists already", hint="Choose another name; nothing is overwritten.")
