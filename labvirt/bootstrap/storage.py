# SPDX-License-Identifier: MIT
"""The doors to everything that lies in the state folder as disk files: versions, drafts, runs, kept overlays, uploads, checks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labvirt.usecases.ports import Limits

if TYPE_CHECKING:
    from labvirt.config import Settings, StatePaths
    from labvirt.contracts.disks import Disks, Drafts, KeptOverlays
    from labvirt.contracts.homes import HomeLogins
    from labvirt.contracts.images import ImageStore
    from labvirt.contracts.kiosk import BootFolders
    from labvirt.contracts.offline import OfflineFiles
    from labvirt.contracts.trials import Trials
    from labvirt.contracts.uploads import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One set over the same folders. Real files with every hypervisor, the pretended one too."""

    store: ImageStore
    disks: Disks
    drafts: Drafts
    kept: KeptOverlays
    kiosk: BootFolders
    homes: HomeLogins
    uploads: Uploads
    offline: OfflineFiles
    trials: Trials


def store_of(settings: Settings, paths: StatePaths) -> ImageStore:
    from labvirt.disks.store import VersionStore

    largest = settings.largest_disk_gib << 30
    return VersionStore(paths.images, drafts=paths.drafts, runs=paths.runs, kept=paths.kept, largest_virtual=largest)


def storage_of(settings: Settings, paths: StatePaths) -> Storage:
    from labvirt.checks.driver import GuestTrials
    from labvirt.disks.boot_folder import SiteKiosk
    from labvirt.disks.drafts import DraftFiles
    from labvirt.disks.driver import QcowDisks
    from labvirt.disks.home_logins import LoginFiles
    from labvirt.disks.kept import KeptFiles
    from labvirt.disks.offline import JailedFiles
    from labvirt.disks.places import Places
    from labvirt.disks.uploads import UploadFolder

    store = store_of(settings, paths)
    places = Places(images=paths.images, drafts=paths.drafts, runs=paths.runs, kept=paths.kept)
    return Storage(
        store=store,
        disks=QcowDisks(paths.images, paths.runs, paths.drafts, paths.kept, store),
        drafts=DraftFiles(places, store),
        kept=KeptFiles(places),
        kiosk=SiteKiosk(paths.kiosk),
        homes=LoginFiles(paths.homes),
        uploads=UploadFolder(paths.uploads),
        offline=JailedFiles(),
        trials=GuestTrials(paths.checks, paths.canaries),
    )


def make_folders(paths: StatePaths) -> None:
    """Folders that an older LabVirt did not have are there. Raises OSError."""
    from labvirt.system import files

    for folder in paths.folders():
        if not folder.exists():
            files.private_folder(folder)


def guest_uid_base(settings: Settings) -> int | None:
    """None: guests run as the engine's own user (it is not root, or they are not real)."""
    return settings.guest_uid_base if os.geteuid() == 0 and settings.hypervisor != "fake" else None


def limits_of(settings: Settings) -> Limits:
    return Limits(
        controller_port=settings.controller_port,
        canary_seconds=settings.canary_seconds,
        template_seconds=settings.template_seconds,
        template_settle_seconds=settings.template_settle_seconds,
        layers=settings.layers,
        bin_days=settings.bin_days,
        orphan_hours=settings.orphan_hours,
        scrub_days=settings.scrub_days,
        rescue_hours=settings.rescue_hours,
        rescue_budget_mib=settings.rescue_budget_mib,
        idle_minutes=settings.idle_minutes,
        audit_days=settings.audit_days,
        metrics_from=settings.metrics_from,
        largest_disk_gib=settings.largest_disk_gib,
        guest_uid_base=guest_uid_base(settings),
        mac_prefix=settings.mac_prefix,
    )
