# SPDX-License-Identifier: MIT
"""Drafts: `NAME/disk.qcow2` (0600) and the companions beside it, in folders that nobody else looks into.

A run that writes a draft has a hard link of it in its own folder (runs.py), so a draft outlives every run.
"""

from __future__ import annotations

import os
from pathlib import Path

from labvirt.contracts.disks import DraftFile
from labvirt.contracts.images import ImageStore
from labvirt.disks import companions, links, overlay
from labvirt.disks.failure import translated
from labvirt.disks.places import DISK, Places
from labvirt.domain.draft import check_draft_name
from labvirt.domain.image import Version
from labvirt.errors import InUse
from labvirt.system import image_locks
from labvirt.system.files import private_folder, remove_tree, sync_folder

_NEW = ".new.qcow2"


class DraftFiles:
    """Keeps contracts.disks.Drafts in the folder `places.drafts`."""

    def __init__(self, places: Places, store: ImageStore) -> None:
        self._places = places
        self._store = store

    def create(self, name: str, chain: tuple[Version, ...]) -> DraftFile:
        check_draft_name(name)
        folder = self._places.drafts / name
        with translated("make the draft", name):
            if not links.is_ordinary(folder / DISK):
                self._store.proven(chain)
                self._make(folder, chain)
            return self._found(folder)

    def _make(self, folder: Path, chain: tuple[Version, ...]) -> None:
        """The disk gets its name last: a draft that has one is whole."""
        top, base = chain[0], self._places.disk(chain[0])
        fresh = not self._places.drafts.is_dir()
        private_folder(self._places.drafts)
        if fresh:
            sync_folder(self._places.drafts.parent)
        private_folder(folder)
        try:
            companions.copy(top.companions, base.parent, folder, subject=folder.name)
            new = folder / _NEW
            new.unlink(missing_ok=True)
            overlay.create(new, base=base, base_format=top.format, virtual_bytes=top.virtual_bytes, uid=None, durable=True)
            new.rename(folder / DISK)
            sync_folder(folder)
        except BaseException:  # nobody would ever look for half a draft
            remove_tree(folder)
            raise
        sync_folder(self._places.drafts)

    def list(self) -> tuple[DraftFile, ...]:
        with translated("read", str(self._places.drafts)):
            named = [folder for folder in links.folders(self._places.drafts) if links.is_draft(folder.name)]
            return tuple(self._found(folder) for folder in named if links.is_ordinary(folder / DISK))

    def remove(self, name: str) -> None:
        check_draft_name(name)
        folder = self._places.drafts / name
        with translated("remove the draft", name):
            taken = links.linking_run(self._places, folder / DISK)
            if taken is not None:
                raise InUse("draft", name, taken[0])
            if links.is_ordinary(folder / DISK):
                with (folder / DISK).open("rb") as file:
                    if image_locks.in_use(file.fileno()):
                        raise InUse("draft", name, "a process that has it open")
            remove_tree(folder)

    def _found(self, folder: Path) -> DraftFile:
        status = os.lstat(folder / DISK)
        return DraftFile(name=folder.name, path=folder / DISK, used_bytes=status.st_blocks * 512, companions=companions.names_in(folder))
