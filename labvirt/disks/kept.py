# SPDX-License-Identifier: MIT
"""Kept overlays: `RUN/` with the overlays (0444) and companions of an ended run, and record.json.

They come by renames out of the run's folder: files into `RUN.part`, the record, then the folder gets its name. Killed between, the
next `keep` goes on; a `RUN.part` whose run folder is gone counts as kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks import companions, kept_record, links
from labvirt.disks.failure import translated
from labvirt.disks.places import Places, number_of
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice
from labvirt.domain.kept import Kept
from labvirt.errors import ImageDamaged, InUse, LabVirtError, NotFound
from labvirt.system import locks
from labvirt.system.files import private_folder, remove_tree, sync_folder, write_atomic

PART = ".part"
GONE = ".gone"


class KeptFiles:
    """Keeps contracts.disks.KeptOverlays in the folder `places.kept`."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._root = places.kept

    def keep(self, run: RunId, about: Kept) -> Kept | None:
        source, final = self._places.runs / str(run), self._root / str(run)
        part = final.with_name(final.name + PART)
        with translated("keep the overlays of", str(run)):
            if links.linked_drafts(self._places, source):  # an admin session's: the draft lives on by itself
                return None
            overlays = links.overlays_in(source)
            if overlays and not part.is_dir() and not any(links.written(path) for _, path in overlays):
                return None
            if overlays and final.is_dir():
                self.remove(run)  # of a lab that was removed and made anew: its numbers begin again, and the newer run is what is missed
            if not final.is_dir():
                if not overlays and not part.is_dir():
                    return None
                self._move(source, part)
                if not links.overlays_in(part):
                    remove_tree(part)
                    return None
                record = replace(about, run=run, used_bytes=_used(part))
                write_atomic(part / kept_record.NAME, kept_record.render(record), mode=0o444)
                sync_folder(part)
                part.rename(final)
                sync_folder(self._root)
            remove_tree(source)
            return self._read(final, run)

    def _move(self, source: Path, part: Path) -> None:
        """Overlays and companions are in `part`, read-only and ours; what else lies in `source` stays there.

        Their data is not fsynced: twenty seats that end at once would wait for minutes, and after a power cut a guest's own journal
        is all that anybody has."""
        if not self._root.is_dir():
            private_folder(self._root)
            sync_folder(self._root.parent)
        # libvirt's guests walk to the files by themselves, if the folder above lets them.
        private_folder(part, mode=0o711)
        names = [path.name for _, path in links.overlays_in(source)]
        names += companions.names_in(source)
        for name in names:
            (source / name).rename(part / name)
        for path in [path for _, path in links.overlays_in(part)] + [part / name for name in companions.names_in(part)]:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid != os.geteuid():
                    # PRIVILEGE: CAP_CHOWN, CAP_FOWNER. An ordinary file in a folder of ours (0700), opened without following links.
                    os.fchown(descriptor, os.geteuid(), os.getegid())
                os.fchmod(descriptor, 0o444)
            finally:
                os.close(descriptor)

    def list(self) -> tuple[Kept, ...]:
        with translated("read", str(self._root)):
            self._mend()
            found = [self._read(folder, run) for run, folder in self._all()]
        return tuple(sorted(found, key=lambda each: (each.ended_at, each.run), reverse=True))

    def layers(self, run: RunId) -> tuple[tuple[int, tuple[DiskLayer, ...]], ...]:
        folder = self._folder(run)
        with translated("read the kept overlays of", str(run)):
            overlays = links.overlays_in(folder) if folder is not None else ()
            if not overlays:
                raise NotFound("kept run", str(run))
            return tuple((place, kept_record.chain(self._places, run, path)) for place, path in overlays)

    def remove(self, run: RunId) -> None:
        """First out of the way, then looked at again: a run that is being made over it sees that it went (driver.py), or we see the run."""
        with translated("remove the kept overlays of", str(run)):
            self._mend()
            self._refuse_used(run)
            folder = self._folder(run)
            if folder is None:
                return
            with self._removing():
                folder.rename(self._root / f"{run}{GONE}")
                self._finish(run)
            self._refuse_used(run)
            remove_tree(self._root / f"{run}{PART}")

    def _mend(self) -> None:
        """Removals that were killed are finished, or taken back."""
        left = [run for folder in links.folders(self._root) if (run := links.run_of(folder.name.removesuffix(GONE))) is not None]
        left = [run for run in left if (self._root / f"{run}{GONE}").is_dir()]
        if left:
            with self._removing():
                for run in left:
                    self._finish(run)

    def _finish(self, run: RunId) -> None:
        """What was moved out of the way is gone, or back if somebody stands on it after all."""
        gone = self._root / f"{run}{GONE}"
        try:
            self._refuse_used(run)
        except InUse:
            if gone.is_dir():
                gone.rename(self._root / str(run))
            return
        remove_tree(gone)

    def _removing(self) -> locks.Lock:
        lock = locks.take(self._root / ".removing.lock", wait=True)
        assert lock is not None
        return lock

    def _refuse_used(self, run: RunId) -> None:
        folder = self._root / str(run)
        users = [(f"kept {other}", path) for other, place in self._all() if other != run for _, path in links.overlays_in(place)]
        users += [(place.name, path) for place in links.folders(self._places.runs) for _, path in links.overlays_in(place)]
        for name, path in users:
            try:
                header = links.header_of(path, name)
            except ImageDamaged:
                continue  # what is no qcow2 file cannot be started, so it needs nothing
            below = links.ours(self._places, path, header.backing_file) if header.backing_file is not None else None
            if below is not None and below.parent == folder:
                raise InUse("kept run", str(run), name)

    def _all(self) -> Iterator[tuple[RunId, Path]]:
        """Each kept run once. A `.part` counts when its run folder is gone (else `keep` will go on with it)."""
        for folder in links.folders(self._root):
            name = folder.name.removesuffix(PART)
            run = links.run_of(name)
            if run is not None and (name == folder.name or self._folder(run) == folder):
                yield run, folder

    def _folder(self, run: RunId) -> Path | None:
        final = self._root / str(run)
        part = final.with_name(final.name + PART)
        if final.is_dir():
            return final
        return part if part.is_dir() and not (self._places.runs / str(run)).is_dir() else None

    def _read(self, folder: Path, run: RunId) -> Kept:
        """What the record says, with what the files really occupy; without a readable record what name and headers tell."""
        used = _used(folder)
        try:
            return replace(kept_record.read(folder, run), used_bytes=used)
        except ValueError:
            ended = datetime.fromtimestamp(folder.lstat().st_mtime, UTC)
            return Kept(run=run, profile="", disks=tuple(self._guessed(folder)), ended_at=ended, used_bytes=used)

    def _guessed(self, folder: Path) -> Iterator[DiskChoice]:
        for place, path in links.overlays_in(folder):
            try:
                layers = links.chain_from(self._places, path, folder.name)
            except LabVirtError:
                continue
            for layer in layers:
                file = self._places.in_store(layer.path)
                number = number_of(file.parent.name) if file is not None else None
                if file is not None and number is not None:
                    yield DiskChoice(place=place, image=file.parts[0], version=number)
                    break


def _used(folder: Path) -> int:
    return sum(os.lstat(path).st_blocks * 512 for _, path in links.overlays_in(folder))
