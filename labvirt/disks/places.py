# SPDX-License-Identifier: MIT
"""How the store's folders are called, and which names in them are its own. Pure: looks at no file.

IMAGE/vN-SHA/ holds disk.qcow2, manifest.json and companions; `.stage` and the like beside the images begin with a dot.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.domain.image import Version

DISK = "disk.qcow2"
COMPANIONS = ("tpm2.state", "uefi-vars.fd")
"""What may lie beside a disk and belong to it: the TPM's and the firmware's memory."""

_FOLDER = re.compile(r"v([1-9][0-9]{0,8})-([0-9a-f]{12})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders of the state folder in which disk files lie, as absolute paths."""

    images: Path
    drafts: Path
    runs: Path
    kept: Path

    @property
    def templates(self) -> Path:
        """Where drivers keep templates (config.StatePaths): read here, never written."""
        return self.runs.parent / "templates"

    def disk(self, version: Version) -> Path:
        return self.images / version.file

    def layers(self, chain: tuple[Version, ...]) -> tuple[DiskLayer, ...]:
        """What QEMU and qemu-img are given: every file of the chain with its format, top first."""
        return tuple(DiskLayer(path=self.disk(version), format=version.format) for version in chain)

    def layers_of(self, file: Path) -> tuple[DiskLayer, ...]:
        """A complete qcow2 file of ours, as a chain."""
        return (DiskLayer(path=file, format="qcow2"),)

    def stands_on(self, overlay: Path, name: bytes) -> Path:
        """The path that a header's name means, found without following any link."""
        return Path(os.path.normpath(overlay.parent / os.fsdecode(name)))

    def in_store(self, path: Path) -> PurePosixPath | None:
        """`path` as the store calls it, if it is the disk of a version folder."""
        try:
            relative = PurePosixPath(path.relative_to(self.images))
        except ValueError:
            return None
        return relative if is_version_file(relative) else None


def is_version_file(file: PurePosixPath) -> bool:
    """`file` is called like a version's disk: nothing else is ever removed or looked for."""
    return len(file.parts) == 3 and number_of(file.parent.name) is not None and file.name == DISK and not file.parts[0].startswith(".")


def number_of(folder: str) -> int | None:
    """The version's number in 'v3-0123456789ab'."""
    found = _FOLDER.match(folder)
    return int(found[1]) if found else None


def folder_name(number: int, sha256: str, companions: Mapping[str, str]) -> str:
    """'v3-0123456789ab'. `companions` is name -> sha256: versions that differ in them alone have different folders."""
    digest = sha256
    if companions:
        words = [sha256, *(f"{name} {companions[name]}" for name in sorted(companions))]
        digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    return f"v{number}-{digest[:12]}"


def layer_name(parent: Version) -> bytes:
    """What the header of a layer calls the version below it: a neighbour's folder, so the state folder may be moved."""
    return f"../{parent.file.parent.name}/{parent.file.name}".encode()
