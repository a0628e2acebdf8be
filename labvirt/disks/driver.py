# SPDX-License-Identifier: MIT
"""QcowDisks keeps the contract contracts.disks.Disks with real files: run folders from runs.py, whose overlays stand on versions of
the store, on a draft's, a kept run's or a template's files.
"""

from __future__ import annotations

from pathlib import Path

from labvirt.contracts.disks import RunDisk, RunFolder
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import ImageStore
from labvirt.disks import companions, kept_record, links, references
from labvirt.disks.failure import translated
from labvirt.disks.places import DISK, Places
from labvirt.disks.runs import Base, Companions, RunFolders
from labvirt.domain.draft import check_draft_name
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.domain.template import TemplateName
from labvirt.errors import ImageDamaged, NotFound
from labvirt.system.machine import disk_free_mib


def refuse_damaged(finding: Finding | None) -> None:
    """Raises ImageDamaged with the finding's words when a guest may not start from that version."""
    if finding is not None and finding.severity is Severity.ERROR:
        raise ImageDamaged(finding.sentence, operation="make the overlay", subject=finding.subject, hint=finding.fix)


class QcowDisks:
    """The folders are those of the state folder (config.StatePaths), all on one file system; they are made when needed."""

    def __init__(self, images: Path, runs: Path, drafts: Path, kept: Path, store: ImageStore) -> None:
        self._places = Places(images=images.absolute(), drafts=drafts.absolute(), runs=runs.absolute(), kept=kept.absolute())
        self._store = store
        self._runs = RunFolders(self._places)

    def create_run(self, run: RunId, disks: tuple[RunDisk, ...], *, uid: int | None) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        for disk in disks:
            for version in disk.chain:
                refuse_damaged(self._store.check(version))  # what reading it does not tell: guests may open it, its companions are there
            self._store.proven(disk.chain)
        with translated("read what lies below", str(run)):
            between = tuple(self._between(disk) for disk in disks)
            below = [(*layers, *self._places.layers(disk.chain)) for disk, layers in zip(disks, between, strict=True)]
            bases = [self._base(disk, layers) for disk, layers in zip(disks, below, strict=True)]
        overlays = self._runs.create(run, bases, uid=uid, beside=self._beside(disks))
        if any(not links.is_ordinary(layer.path) for layers in between for layer in layers):  # removed while we made the overlay
            self._runs.remove(run)
            gone = next(disk for disk in disks if disk.kept is not None or disk.template is not None)
            raise NotFound("kept run" if gone.kept else "template", str(gone.kept or gone.template))
        return tuple(
            (disk.place, (DiskLayer(path=path, format="qcow2"), *layers)) for disk, path, layers in zip(disks, overlays, below, strict=True)
        )

    def open_run(self, run: RunId) -> RunFolder | None:
        return self._runs.open(run)

    def runs(self) -> tuple[RunFolder, ...]:
        return self._runs.all()

    def remove_run(self, run: RunId) -> None:
        self._runs.remove(run)

    def template_users(self) -> dict[TemplateName, tuple[str, ...]]:
        return references.template_users(self._places)

    def free_mib(self) -> int:
        with translated("read the free space of", str(self._places.runs)):
            self._places.runs.mkdir(parents=True, exist_ok=True)
            return disk_free_mib(self._places.runs)

    def _between(self, disk: RunDisk) -> tuple[DiskLayer, ...]:
        """What lies between the new overlay and the versions, top first: a template's disk; a kept overlay, or more when a kept run
        stood on a kept run. They are proven to end on a version of the image that `chain` names."""
        if disk.template is not None:
            return (self._frozen(disk.template, disk.chain[0]),)
        if disk.kept is None:
            return ()
        top = self._places.kept / str(disk.kept) / links.overlay_name(disk.place)
        if not links.is_ordinary(top):
            raise NotFound("kept run", str(disk.kept))
        layers = kept_record.chain(self._places, disk.kept, top)
        kept = tuple(layer for layer in layers if self._places.in_store(layer.path) is None)
        if len(kept) < len(layers):
            self._same_base(layers[len(kept)].path, disk.chain[0], str(disk.kept))
        return kept

    def _frozen(self, path: Path, wanted: Version) -> DiskLayer:
        """The disk of a template. Its header was a run's: it may name nothing but a version."""
        name = links.template_of(self._places, path)
        if name is None or not links.is_ordinary(path):
            raise NotFound("template", path.parent.name)
        below = links.stands_on(self._places, path, str(name))
        self._same_base(path if below is None else below.path, wanted, str(name))
        return DiskLayer(path=path, format="qcow2")

    def _base(self, disk: RunDisk, layers: tuple[DiskLayer, ...]) -> Base:
        draft = None
        if disk.draft is not None:
            check_draft_name(disk.draft)
            draft = self._places.drafts / disk.draft / DISK
            if not links.is_ordinary(draft):
                raise NotFound("draft", disk.draft)
            named = links.stands_on(self._places, draft, disk.draft)
            self._same_base(draft if named is None else named.path, disk.chain[0], disk.draft)
        virtual = disk.chain[0].virtual_bytes
        if disk.kept is not None or disk.template is not None:
            virtual = links.header_of(layers[0].path, str(disk.kept or disk.template)).virtual_bytes
        return Base(place=disk.place, path=layers[0].path, format=layers[0].format, virtual_bytes=virtual, draft=draft)

    def _same_base(self, named: Path, wanted: Version, subject: str) -> None:
        """The header names a file of the wanted version: the present one, or the layer that it was before it was flattened."""
        file = self._places.in_store(named)
        folder = wanted.file.parent
        if file is not None and (file == wanted.file or file.parent.as_posix().startswith(f"{folder.parent}/v{wanted.number}-")):
            return
        raise ImageDamaged(
            f"The overlay of {subject} does not stand on {wanted.label}.",
            operation="read the header",
            subject=subject,
            hint="Its content belongs to another version: over this one it would be garbage. Start afresh.",
        )

    def _beside(self, disks: tuple[RunDisk, ...]) -> Companions | None:
        """The companions of the machine: the draft's own, else the kept run's, else those of the first disk's version."""
        for disk in disks:
            if disk.draft is not None:
                folder = self._places.drafts / disk.draft
                own = companions.names_in(folder)
                return Companions(folder=folder, names=own) if own else self._of_version(disk.chain[0])
        for disk in disks:
            if disk.kept is not None and (own := companions.names_in(self._places.kept / str(disk.kept))):
                return Companions(folder=self._places.kept / str(disk.kept), names=own)
        return self._of_version(disks[0].chain[0]) if disks else None

    def _of_version(self, version: Version) -> Companions | None:
        if not version.companions:
            return None
        return Companions(folder=self._places.disk(version).parent, names=version.companions)
