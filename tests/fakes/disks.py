# SPDX-License-Identifier: MIT
"""The real doors to disk files in a folder of the test's own, and one small version to start from. None of them needs root."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from labvirt.contracts.images import StoredVersion
from labvirt.disks.boot_folder import SiteKiosk
from labvirt.disks.drafts import DraftFiles
from labvirt.disks.driver import QcowDisks
from labvirt.disks.kept import KeptFiles
from labvirt.disks.offline import JailedFiles
from labvirt.disks.places import Places
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Stage, Version

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Doors(TypedDict):
    """As usecases.ports.Ports calls them."""

    disks: QcowDisks
    store: VersionStore
    drafts: DraftFiles
    kept: KeptFiles
    kiosk: SiteKiosk
    offline: JailedFiles


def places(root: Path) -> Places:
    """The map of config.StatePaths, below `root`."""
    return Places(images=root / "images", drafts=root / "drafts", runs=root / "runs", kept=root / "kept")


def doors(root: Path) -> Doors:
    """For `Ports(**doors(tmp_path), ...)`. Calling it again gives what another process would have."""
    where = places(root)
    store = VersionStore(where.images, drafts=where.drafts, runs=where.runs, kept=where.kept)
    return Doors(
        disks=QcowDisks(where.images, where.runs, where.drafts, where.kept, store),
        store=store,
        drafts=DraftFiles(where, store),
        kept=KeptFiles(where),
        kiosk=SiteKiosk(root / "kiosk"),
        offline=JailedFiles(),
    )


def version_of(stored: StoredVersion, *, image: str = "tiny", number: int = 1, parent: int | None = None) -> Version:
    """What the database would remember of it."""
    return Version(
        image=image,
        number=number,
        file=stored.file,
        format=stored.format,
        size_bytes=stored.size_bytes,
        virtual_bytes=stored.virtual_bytes,
        sha256=stored.sha256,
        stage=Stage.PUBLISHED,
        made_at=AT,
        parent=parent,
        backing=stored.backing,
        companions=stored.companions,
    )


@dataclass(frozen=True)
class Imported:
    doors: Doors
    version: Version


def imported(root: Path, content: bytes = b"labvirt " * 8192, *, number: int = 1) -> Imported:
    """The doors with one version made of a raw disk of these bytes (whole sectors)."""
    made = doors(root)
    source = root / f"source-{number}.raw"
    source.write_bytes(content)
    return Imported(made, version_of(made["store"].import_version(source, format="raw", image="tiny", number=number), number=number))
