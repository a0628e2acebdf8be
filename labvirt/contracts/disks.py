# SPDX-License-Identifier: MIT
"""The door to the files that guests write: one folder per run with its overlays, drafts, and overlays that are kept for a while.

Three narrow protocols over one storage; the versions below all of them are contracts.images. Who may write what: a run's QEMU
writes its own overlays only; nothing in a folder that a QEMU could write is believed or followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.domain.kept import Kept
from labvirt.domain.template import TemplateName


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDisk:
    """One disk of a run: what its overlay stands on.

    `chain` is domain.image.chain_of the version, top first. `draft`: the overlay is not new, it is this draft's file (a hard link
    in the run's folder, so that the draft outlives the run). `kept`: between the new overlay and `chain` lies, read-only, the kept
    overlay of that run at the same place. `template`: there lies a template's disk (contracts.templates: KeptTemplate.disks) that was made
    over `chain`. At most one of the three.
    """

    place: int
    chain: tuple[Version, ...]
    draft: str | None = None
    kept: RunId | None = None
    template: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """`used_bytes` is what the overlays really occupy."""

    run: RunId
    path: Path
    overlays: tuple[Path, ...]
    used_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFile:
    """A draft as it lies on the disk."""

    name: str
    path: Path
    used_bytes: int
    companions: tuple[str, ...] = ()


class Disks(Protocol):
    def create_run(self, run: RunId, disks: tuple[RunDisk, ...], *, uid: int | None) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        """A new run folder (0700) with one overlay per disk, and copies of the versions' companions (those of the draft's, if one is
        written). Returns (place, chain of layers) with the overlay first. Every version is proven first: ImageStore.proven. An existing
        folder of the same run is removed first (a crash between its making and its start). Folder and overlays belong to `uid` when
        it is given. After a failure the folder is gone. Raises ImageDamaged (names the version), NotFound (draft, kept, template),
        InUse (the draft is written by another run), DiskError, Exhausted('disk')."""

    def open_run(self, run: RunId) -> RunFolder | None:
        """The folder, or None."""

    def runs(self) -> tuple[RunFolder, ...]:
        """Every run folder that exists."""

    def remove_run(self, run: RunId) -> None:
        """The folder and everything in it is gone (a draft's file lives on under its own name, with its companions written back).
        The caller has made sure that no process uses it. Absent is fine."""

    def template_users(self) -> dict[TemplateName, tuple[str, ...]]:
        """Which runs and kept overlays stand on which template, from the real headers ('lab-a-07.g3', 'kept lab-a-07.g2'). Raises DiskError
        when one cannot be read."""

    def free_mib(self) -> int:
        """Free space where overlays are written, MiB."""


class Drafts(Protocol):
    def create(self, name: str, chain: tuple[Version, ...]) -> DraftFile:
        """A new, empty overlay over the chain under this name, durable. One that exists already is left as it is and returned
        (the job began again). Raises ImageDamaged, DiskError, Exhausted('disk')."""

    def list(self) -> tuple[DraftFile, ...]: ...

    def remove(self, name: str) -> None:
        """Its file is gone. Raises InUse while a process has it open (image lock) or a run folder links it. Absent is fine."""


class KeptOverlays(Protocol):
    def keep(self, run: RunId, about: Kept) -> Kept | None:
        """The overlays of the ended run are in the kept folder, read-only, with a record (`about` with the real `used_bytes`), and the
        run's folder is gone. None when there was nothing to keep (no overlay, or nothing was written to any). Killed anywhere
        it can be done again. The caller has made sure that no process uses it. Raises DiskError."""

    def list(self) -> tuple[Kept, ...]:
        """By time, the newest first. A folder without a readable record is listed with what its name and headers tell."""

    def layers(self, run: RunId) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        """(place, chain of layers) as the real headers have it, the kept overlay first: each layer is proven to be a version of the
        store or a kept overlay. Raises NotFound, ImageDamaged."""

    def remove(self, run: RunId) -> None:
        """Gone. Raises InUse when another kept overlay or a run stands on it. Absent is fine."""
