# SPDX-License-Identifier: MIT
"""Run folders `RUN/` (0700) and the overlays in them. What else is in a folder (sockets, logs) belongs to the hypervisor's driver.

A guest's QEMU may write in its folder: nothing in it is believed or followed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.disks import RunFolder
from labvirt.disks import companions, links, overlay
from labvirt.disks.failure import translated
from labvirt.disks.places import DISK, Places
from labvirt.domain.guest import RunId
from labvirt.errors import InUse, NotFound
from labvirt.system.files import private_folder, remove_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What one overlay stands on: the file right below it. With `draft` the overlay is that draft's file."""

    place: int
    path: Path
    format: str
    virtual_bytes: int
    draft: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """Names, and the folder they are copied from."""

    folder: Path
    names: tuple[str, ...]


class RunFolders:
    """The folder `places.runs` and the runs in it."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._root = places.runs

    def create(self, run: RunId, bases: Sequence[Base], *, uid: int | None, beside: Companions | None = None) -> tuple[Path, ...]:
        """The folder is new, with one overlay per base (returned in their order) and the companions, all of `uid`. After a failure
        it is gone. Raises NotFound (draft), InUse (it is linked in another run), DiskError, Exhausted('disk')."""
        if len({base.place for base in bases}) != len(bases):
            raise ValueError("each disk has a place of its own")
        folder = self._root / str(run)
        self.remove(run)
        with translated("make the run folder of", str(run)), ExitStack() as undo:
            private_folder(folder)
            undo.callback(remove_tree, folder)
            overlays = tuple(folder / links.overlay_name(base.place) for base in bases)
            for path, base in zip(overlays, bases, strict=True):
                if base.draft is not None:
                    self._link(base.draft, path, uid=uid)
                else:
                    overlay.create(path, base=base.path, base_format=base.format, virtual_bytes=base.virtual_bytes, uid=uid)
            if beside is not None:
                companions.copy(beside.names, beside.folder, folder, owner=uid, subject=str(run))
            if uid is not None:
                private_folder(folder, owner=uid)
            undo.pop_all()
            return overlays

    def _link(self, draft: Path, path: Path, *, uid: int | None) -> None:
        """`path` is one more name of the draft's file, which belongs to `uid` from now."""
        taken = links.linking_run(self._places, draft)
        if taken is not None:
            raise InUse("draft", draft.parent.name, taken[0])
        descriptor = os.open(draft.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.link(draft.name, path, src_dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError as error:
            raise NotFound("draft", draft.parent.name) from error
        finally:
            os.close(descriptor)
        if uid is not None:
            # PRIVILEGE: CAP_CHOWN. The draft's folder is ours alone (0700): the name just linked is the file that we made there.
            os.chown(path, uid, uid, follow_symlinks=False)

    def open(self, run: RunId) -> RunFolder | None:
        """The folder as it is now, or None. Raises DiskError."""
        folder = self._root / str(run)
        with translated("read the run folder of", str(run)):
            if not folder.is_dir() or folder.is_symlink():
                return None
            found = links.overlays_in(folder)
            used = 0
            for _, path in found:
                try:
                    used += os.lstat(path).st_blocks * 512
                except FileNotFoundError:  # its run ended just now
                    continue
        return RunFolder(run=run, path=folder, overlays=tuple(path for _, path in found), used_bytes=used)

    def all(self) -> tuple[RunFolder, ...]:
        """By name. What is not called like a run is not ours to judge. Raises DiskError."""
        with translated("read", str(self._root)):
            names = [folder.name for folder in links.folders(self._root)]
        opened = [self.open(run) for run in map(links.run_of, names) if run is not None]
        return tuple(folder for folder in opened if folder is not None)

    def remove(self, run: RunId) -> None:
        """The folder is gone; a draft that was written in it has its companions, and belongs to us again. Raises DiskError."""
        folder = self._root / str(run)
        with translated("remove the run folder of", str(run)):
            for draft in links.linked_drafts(self._places, folder):
                companions.copy(companions.names_in(folder), folder, draft, subject=draft.name)
                if os.lstat(draft / DISK).st_uid != os.geteuid():
                    # PRIVILEGE: CAP_CHOWN. A file in a folder of ours (0700); the machine that wrote it is gone.
                    os.chown(draft / DISK, os.geteuid(), os.getegid(), follow_symlinks=False)
            remove_tree(folder)
