# SPDX-License-Identifier: MIT
"""A draft becomes a version: copied where nobody else has it, checked, finished by one of three methods (contracts.images.SealMethod).

The draft's file is written by a guest's QEMU and not believed: of its header only what may be there is accepted, and the files below
it are told to qemu-img, never looked up in it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import Progress, SealMethod, StoredVersion
from labvirt.disks import conversion, copying, gathering, links
from labvirt.disks.digest import Steps, sha256_of
from labvirt.disks.failure import translated
from labvirt.disks.importing import check_label, estimated, largest_file
from labvirt.disks.inspection import Facts, inspect, open_regular
from labvirt.disks.jail import Bounds
from labvirt.disks.places import DISK, Places, layer_name
from labvirt.disks.proofs import Proofs
from labvirt.disks.qcow2_header import HEAD_BYTES, parse, renamed_backing
from labvirt.disks.shelf import made_before, shelve
from labvirt.disks.staging import staging
from labvirt.domain.draft import check_draft_name
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged, InUse, InvalidInput, NotFound
from labvirt.system import image_locks

_SPARE = 1 << 30
"""Bytes. A disk's own tables take a thousandth of it; leaked clusters of crashed machines come on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One draft's copy `stage/draft` (what its header says: `facts`) over the proven `chain`; `made` will be the version's folder."""

    places: Places
    stage: Path
    made: Path
    draft: str
    facts: Facts
    chain: tuple[Version, ...]

    @property
    def copy(self) -> Path:
        return self.stage / "draft"


def seal(
    places: Places,
    proofs: Proofs,
    draft: str,
    chain: tuple[Version, ...],
    *,
    number: int,
    method: SealMethod | None,
    largest: int,
    progress: Progress,
) -> StoredVersion:
    """See contracts.images."""
    check_draft_name(draft)
    check_label(chain[0].image, number)
    root = places.images
    descriptor = _open(places, draft)
    try:
        with translated("seal", draft), staging(root) as stage:
            size = os.fstat(descriptor).st_size
            steps = Steps(progress, size, size // 4, *(version.size_bytes for version in chain), size)
            if not image_locks.keep_writers_out(descriptor) or image_locks.in_use(descriptor):
                raise InUse("draft", draft, "a process that has it open")
            if (taken := links.linking_run(places, places.drafts / draft / DISK)) is not None:
                raise InUse("draft", draft, f"the run {taken[0]}")  # its companions are written back when that is cleared away
            _not_endless(size, draft, chain[0])
            _room(places, stage, descriptor, draft, chain, method, largest)
            copying.copy(descriptor, stage / "draft", name=draft, progress=steps.next())
            origin = _origin(places, stage / "draft", draft, chain[0], method, steps.next())
            known = made_before(root, chain[0].image, number, origin)
            if known is not None:
                return known
            facts = _accepted(places, stage / "draft", draft, chain[0], largest)
            conversion.check_qcow2(stage / "draft", name=draft)
            made = stage / "version"
            made.mkdir(mode=0o755)
            work = _Work(places=places, stage=stage, made=made, draft=draft, facts=facts, chain=chain)
            backing = _finish(work, method, proofs, steps)
            beside = places.drafts / draft
            image = chain[0].image
            return shelve(
                root,
                made,
                image=image,
                number=number,
                largest=largest,
                backing=backing,
                beside=beside,
                origin=origin,
                progress=steps.next(),
            )
    finally:
        os.close(descriptor)


def _room(
    places: Places, stage: Path, descriptor: int, draft: str, chain: tuple[Version, ...], method: SealMethod | None, largest: int
) -> None:
    """Before gigabytes are copied: there is space for the copy, and for a complete file where one is made of it."""
    path = places.drafts / draft / DISK
    copied = 0 if copying.can_share(descriptor, stage) else copying.data_bytes(os.fstat(descriptor))
    made = 0
    if method is SealMethod.FLATTEN:
        _accepted(places, path, draft, chain[0], largest)
        made = estimated((DiskLayer(path=path, format="qcow2"), *places.layers(chain)), draft)
    copying.need(places.images, copied + made, draft)


def _not_endless(size: int, draft: str, parent: Version) -> None:
    """Raises ImageDamaged for a file that is longer than any disk of its size needs: its holes cost a guest nothing, and us days."""
    if size > 2 * parent.virtual_bytes + _SPARE:
        raise ImageDamaged(
            f"{draft} is not accepted: its file is {size >> 30} GiB long, and its disk has {-(-parent.virtual_bytes >> 30)} GiB.",
            operation="seal",
            subject=draft,
            hint="Only a damaged or hostile guest makes such a file. Discard it and begin a new session.",
        )


def _origin(places: Places, copy: Path, draft: str, parent: Version, method: SealMethod | None, progress: Progress) -> str:
    """The same for the same content over the same version by the same wish, and for nothing else."""
    descriptor = open_regular(copy)
    try:
        words = [sha256_of(descriptor, progress), parent.label, parent.sha256, method or "any"]
    finally:
        os.close(descriptor)
    words += [f"{name} {digest}" for name, digest in sorted(gathering.digests(places.drafts / draft).items())]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _open(places: Places, draft: str) -> int:
    path = places.drafts / draft / DISK
    if not os.path.lexists(path):
        raise NotFound("draft", draft)
    return open_regular(path, "draft")


def _accepted(places: Places, copy: Path, draft: str, parent: Version, largest: int) -> Facts:
    """The header of the copy is one that overlay.create and QEMU make, over a file of the parent: its present one, or the one it had
    before it was flattened (the same version in another folder, with the same content)."""
    descriptor = open_regular(copy)
    try:
        header = parse(os.pread(descriptor, HEAD_BYTES, 0))
        name = header.backing_file or b""
        named = links.ours(places, copy, name) if name.startswith(b"/") else None
        below = places.in_store(named) if named is not None else None
        same = below is not None and below.parts[0] == parent.image and below.parent.name.startswith(f"v{parent.number}-")
        if not same or header.backing_format != parent.format:
            raise ImageDamaged(
                f"{draft} is not accepted: it does not stand on {parent.label}.",
                operation="seal",
                subject=draft,
                hint="Begin a new session from the version you want to change; this draft can be looked at and discarded.",
            )
        return inspect(descriptor, format="qcow2", name=draft, largest=largest, backing=name)
    finally:
        os.close(descriptor)


def _finish(work: _Work, method: SealMethod | None, proofs: Proofs, steps: Steps) -> bytes | None:
    """`made` holds the disk. Returns the name of the file below it, if one is needed."""
    told = [steps.next() for _ in work.chain]
    whole = work.chain[0].backing is None
    if method is SealMethod.LAYER or (method is None and not whole):
        return _layer(work)
    # What lies below is going to be copied: it had better be right.
    proofs.prove(work.chain)
    if method is SealMethod.FLATTEN:
        _flatten(work, told[-1])
        return None
    if whole and _reflink(work, told[-1]):
        return None
    if method is SealMethod.REFLINK:
        why = "this file system cannot share blocks" if whole else f"{work.chain[0].label} stands on another version"
        raise InvalidInput("method", f"reflink cannot be done: {why}", hint="Choose layer or flatten.")
    return _layer(work)


def _layer(work: _Work) -> bytes:
    """The copy itself, with the parent named relative to where the layer is going to lie."""
    name = layer_name(work.chain[0])
    descriptor = os.open(work.copy, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        for offset, content in renamed_backing(parse(os.pread(descriptor, HEAD_BYTES, 0)), name):
            if os.pwrite(descriptor, content, offset) != len(content):
                raise ImageDamaged(f"The header of {work.draft} could not be written.", operation="seal", subject=work.draft)
    finally:
        os.close(descriptor)
    work.copy.rename(work.made / DISK)
    return name


def _reflink(work: _Work, progress: Progress) -> bool:
    """A clone of the parent's file with the changes written into it. False where blocks cannot be shared: then nothing happened."""
    parent = open_regular(work.places.disk(work.chain[0]))
    try:
        if not copying.can_share(parent, work.made):
            return False
        copying.copy(parent, work.made / DISK, name=work.draft)
    finally:
        os.close(parent)
    size = work.facts.virtual_bytes
    base = f"{work.made.name}/{DISK}"
    bounds = Bounds.for_bytes(size)
    conversion.commit(work.stage, work.copy.name, base, name=work.draft, bounds=bounds, progress=progress, weight=size)
    return True


def _flatten(work: _Work, progress: Progress) -> None:
    chain = (DiskLayer(path=work.copy, format="qcow2"), *work.places.layers(work.chain))
    root = work.places.images
    copying.need(root, conversion.measure(chain, name=work.draft), work.draft)
    bounds = Bounds.for_bytes(work.facts.virtual_bytes, file_bytes=largest_file(root, work.facts))
    conversion.convert(chain, work.made / DISK, name=work.draft, bounds=bounds, progress=progress, weight=work.facts.virtual_bytes)
