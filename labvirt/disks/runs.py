# SPDX-License-Identifier: MIT
"""Run folders `RUN/` (0700) and the overlays in them. What else is in a folder (sockets, logs) belongs to the hypervisor's driver.

A guest's QEMU may write in its folder: nothing in it is believed or followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.disks import RunFolder
from labvirt.disks import overlay
from labvirt.disks.failure import translated
from labvirt.domain.guest import RunId
from labvirt.errors import DiskError, InvalidInput
from labvirt.system.files import private_folder, remove_tree

_OVERLAY = re.compile(r"overlay-[0-9]{1,3}\.qcow2\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What one overlay stands on."""

    place: int
    path: Path
    format: str
    virtual_bytes: int


class RunFolders:
    """The folder `root` and the runs in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, run: RunId, bases: Sequence[Base], *, uid: int | None) -> tuple[Path, ...]:
        """The folder is new, with one overlay per base (returned in their order), all of `uid`. After a failure it is gone.
        Raises DiskError, Exhausted('disk')."""
        if len({base.place for base in bases}) != len(bases):
            raise ValueError("each disk has a place of its own")
        folder = self._root / str(run)
        self.remove(run)
        with translated("make the run folder of", str(run)), ExitStack() as undo:
            undo.callback(remove_tree, folder)
            private_folder(folder)
            overlays = tuple(folder / f"overlay-{base.place}.qcow2" for base in bases)
            for path, base in zip(overlays, bases, strict=True):
                overlay.create(path, base=base.path, base_format=base.format, virtual_bytes=base.virtual_bytes, uid=uid)
            if uid is not None:
                private_folder(folder, owner=uid)
            undo.pop_all()
            return overlays

    def open(self, run: RunId) -> RunFolder | None:
        """The folder as it is now, or None. Raises DiskError."""
        folder = self._root / str(run)
        files = []
        with translated("read the run folder of", str(run)):
            try:
                names = sorted(os.listdir(folder))
            except (FileNotFoundError, NotADirectoryError):
                return None
            for name in filter(_OVERLAY.match, names):
                try:
                    status = os.lstat(folder / name)
                except FileNotFoundError:  # its run ended just now
                    continue
                if stat.S_ISREG(status.st_mode):
                    files.append((folder / name, status.st_blocks * 512))
        overlays = tuple(path for path, _ in files)
        return RunFolder(run=run, path=folder, overlays=overlays, used_bytes=sum(used for _, used in files))

    def all(self) -> tuple[RunFolder, ...]:
        """By name. What is not called like a run is not ours to judge. Raises DiskError."""
        with translated("read", str(self._root)):
            try:
                names = sorted(entry.name for entry in os.scandir(self._root) if entry.is_dir(follow_symlinks=False))
            except FileNotFoundError:
                return ()
        opened = [self.open(run) for run in map(_run, names) if run is not None]
        return tuple(folder for folder in opened if folder is not None)

    def remove(self, run: RunId) -> None:
        """The folder is gone. Raises DiskError."""
        with translated("remove the run folder of", str(run)):
            try:
                remove_tree(self._root / str(run))
            except RecursionError as error:  # folders in folders in folders: only a hostile guest's QEMU makes such
                raise DiskError(
                    f"The run folder of {run} is nested too deeply.",
                    operation="remove",
                    subject=str(run),
                    hint=f"rm -rf {self._root / str(run)}",
                ) from error


def _run(name: str) -> RunId | None:
    try:
        return RunId.parse(name)
    except InvalidInput:
        return None
