# SPDX-License-Identifier: MIT
"""Files inside a disk that nobody runs: ext2 to ext4, FAT and NTFS, bare or in the partitions of an MBR or GPT.

7-Zip reads the file systems, util-linux finds them, e2fsck replays ext's journal on a scratch overlay: without that, what a guest
wrote in its last half minute would be missing. All of them in the jail of offline_jail.py. NTFS's own journal is not replayed.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import Progress, silent
from labvirt.contracts.offline import OfflineEntry
from labvirt.disks.failure import disk_full, translated
from labvirt.disks.links import header_of
from labvirt.disks.offline_jail import DISK, TARGET, Limits, Part, read_inside, refuse, text_argument
from labvirt.disks.offline_listing import Found, Partition, entries, partitions, shown, tags, text
from labvirt.errors import DiskError, InvalidInput, NotFound, Unsupported
from labvirt.system.files import private_folder, remove_tree

_READERS = {"ext2": "Ext", "ext3": "Ext", "ext4": "Ext", "ext4dev": "Ext", "vfat": "FAT", "ntfs": "NTFS"}
"""What blkid calls a file system -> what 7-Zip calls its reader, told and never guessed."""
_LISTING = Limits(seconds=300, output_bytes=256 << 20)
_MOST_PARTITIONS = 64
_RESERVE = 64 << 20
_PERCENT = re.compile(rb"(\d{1,3})%")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A partition with its file system (as blkid names it; empty: none that is known)."""

    partition: Partition
    kind: str

    @property
    def part(self) -> Part:
        return Part(start=self.partition.start, size=self.partition.size, replay=self.kind in ("ext3", "ext4", "ext4dev"))


class _Listener:
    """Tells how far 7-Zip is, and ends it when the disk becomes full."""

    def __init__(self, stage: Path, total: int, name: str, progress: Progress) -> None:
        self._stage, self._total, self._name, self._progress = stage, total, name, progress
        self._done = 0

    def heard(self, piece: bytes) -> None:
        if _free(self._stage) < 0:
            raise disk_full(f"the files of {self._name}")
        percents = _PERCENT.findall(piece)
        if percents:
            self._done = max(self._done, self._total * min(100, int(percents[-1])) // 100)
        self._progress(self._done, max(1, self._total))


class JailedFiles:
    """Keeps contracts.offline.OfflineFiles. A disk without partitions is shown as its partition 1."""

    def list(self, layers: tuple[DiskLayer, ...], folder: str = "", progress: Progress = silent) -> tuple[OfflineEntry, ...]:
        if not folder.strip("/"):
            return tuple(
                OfflineEntry(path=str(place.partition.number), folder=True, size_bytes=place.partition.size)
                for place in self._places(layers, progress)
            )
        number, inside = _split(folder)
        found = self._everything(layers, self._place(layers, number, progress), progress)
        if inside and not any(each.folder and each.path == inside for each in found):
            raise NotFound("folder", folder)
        prefix = inside + b"/" if inside else b""
        children = (each for each in found if each.path.startswith(prefix) and b"/" not in each.path[len(prefix) :])
        return tuple(
            OfflineEntry(
                path=f"{number}/{text(each.path)}",
                folder=each.folder,
                size_bytes=0 if each.folder else each.size_bytes,
                modified=each.modified,
            )
            for each in sorted(children, key=lambda each: each.path)
            if each.ordinary
        )

    def fetch(self, layers: tuple[DiskLayer, ...], path: str, target: Path, progress: Progress = silent) -> int:
        number, inside = _split(path)
        target = target.absolute()
        with translated("copy into", str(target)):
            if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
                raise InvalidInput("target", f"{target} is there and is not an empty folder", hint="Name a new folder.")
            place = self._place(layers, number, progress)
            wanted = [
                each
                for each in self._everything(layers, place, progress)
                if not inside or each.path == inside or each.path.startswith(inside + b"/")
            ]
            if inside and not any(each.path == inside and each.ordinary for each in wanted):
                raise NotFound("file", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            stage = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
            try:
                private_folder(stage)
                return self._fetch(layers, place, inside or None, wanted, stage, target, progress)
            finally:
                remove_tree(stage)

    def _fetch(
        self,
        layers: Sequence[DiskLayer],
        place: _Place,
        inside: bytes | None,
        wanted: Sequence[Found],
        stage: Path,
        target: Path,
        progress: Progress,
    ) -> int:
        """Extracted in the jail into one folder, sorted out by us, and put into place by one rename."""
        total = sum(each.size_bytes for each in wanted if each.ordinary and not each.folder)
        name = _name(layers)
        if total > _free(stage):
            raise disk_full(f"the files of {name}")

        raw, out = private_folder(stage / "raw"), private_folder(stage / "out")
        pattern = () if inside is None else (f"-i!{_pattern(inside)}",)
        argv = ("7zz", "x", f"-t{_READERS[place.kind]}", "-y", "-bso0", "-bse2", "-bsp1", "-mmt1", "-snl-", "-sns-", f"-o{TARGET}")
        limits = Limits(seconds=max(3600, total >> 23), file_bytes=max(1 << 20, _free(stage)))
        result = read_inside(
            layers, place.part, (*argv, *pattern, DISK), limits=limits, target=raw, heard=_Listener(stage, total, name, progress).heard
        )
        if not result.ok:
            raise refuse(result, name, "copy files out")
        left_out = {each.path for each in wanted if not each.ordinary}
        kept = {each.path for each in wanted if each.ordinary}
        written = _sort_out(os.fsencode(raw), kept, left_out)
        if inside is None:
            raw.rename(out / str(place.partition.number))
        else:
            for found in _like(os.fsencode(raw), inside.split(b"/")):
                os.rename(found, os.path.join(os.fsencode(out), os.path.basename(found)))
        if not any(out.iterdir()):
            raise DiskError(f"{name}: nothing could be copied.", operation="copy files out", subject=name, hint="List the folder again.")
        out.rename(target)  # over an empty folder too: rename(2)
        progress(max(1, total), max(1, total))
        return written

    def _everything(self, layers: Sequence[DiskLayer], place: _Place, progress: Progress) -> tuple[Found, ...]:
        """All of a file system. Raises Unsupported that names it."""
        reader = _READERS.get(place.kind)
        if reader is None:
            kind = place.kind or "no file system that is known here"
            raise Unsupported(f"read files of partition {place.partition.number} ({kind})", "offline")
        argv = ("7zz", "l", f"-t{reader}", "-slt", "-ba", "-bse2", "-mmt1", "-sns-", DISK)
        result = read_inside(layers, place.part, argv, limits=_LISTING, heard=lambda _: progress(0, 1))
        if not result.ok or len(result.stdout) >= _LISTING.output_bytes:
            raise refuse(result, _name(layers), "list files")
        return tuple(entries(result.stdout))

    def _place(self, layers: Sequence[DiskLayer], number: int, progress: Progress) -> _Place:
        for place in self._places(layers, progress, only=number):
            return place
        raise NotFound("partition", str(number))

    def _places(self, layers: Sequence[DiskLayer], progress: Progress, only: int | None = None) -> tuple[_Place, ...]:
        if not layers:
            raise NotFound("disk", "")
        with translated("read", _name(layers)):
            top = layers[0]
            whole = header_of(top.path, _name(layers)).virtual_bytes if top.format == "qcow2" else os.stat(top.path).st_size
        disk = Partition(number=1, start=0, size=whole)
        seen = self._probe(layers, disk, progress)
        if seen.get("PTTYPE") and not seen.get("TYPE"):
            argv = ("partx", "--raw", "--noheadings", "-o", "NR,START,SECTORS", DISK)
            result = read_inside(layers, Part(start=0, size=whole), argv, limits=Limits(), heard=lambda _: progress(0, 1))
            if not result.ok:
                raise refuse(result, _name(layers), "read the partition table")
            inside = [each for each in partitions(result.stdout) if each.start + each.size <= whole][:_MOST_PARTITIONS]
            wanted = [each for each in inside if only is None or each.number == only]
            if only is None:
                return tuple(_Place(partition=each, kind="") for each in wanted)
            return tuple(_Place(partition=each, kind=self._probe(layers, each, progress).get("TYPE", "")) for each in wanted)
        return (_Place(partition=disk, kind=seen.get("TYPE", "")),) if only in (None, 1) else ()

    def _probe(self, layers: Sequence[DiskLayer], partition: Partition, progress: Progress) -> dict[str, str]:
        """What blkid finds at the beginning of it; empty when it knows nothing."""
        part = Part(start=partition.start, size=partition.size)
        argv = ("blkid", "--probe", "--output", "export", DISK)
        result = read_inside(layers, part, argv, limits=Limits(), heard=lambda _: progress(0, 1))
        if result.code in (2, 8) and not result.timed_out:  # blkid(8): nothing was found, or contradictions
            return {}
        if not result.ok:
            raise refuse(result, _name(layers), "look into it")
        return tags(result.stdout)


def _split(path: str) -> tuple[int, bytes]:
    """('1/home/x') -> (1, b'home/x'). Raises InvalidInput."""
    try:
        words = [word for word in text_argument(path).split("/") if word]
        if any(word in (".", "..") for word in words):
            raise ValueError("it goes up")
        return int(words[0]), b"/".join(shown(os.fsencode(word)) for word in words[1:])
    except (ValueError, IndexError, UnicodeError) as error:
        raise InvalidInput(
            "path", "does not begin with the number of a partition, or goes up", hint="It looks like 1/home/student"
        ) from error


def _name(layers: Sequence[DiskLayer]) -> str:
    return f"{layers[0].path.parent.name}/{layers[0].path.name}"


def _pattern(inside: bytes) -> str:
    """For 7-Zip, which has wildcards and no way to quote them: they, and '_', which may stand for a line break, stand for any character.

    What is too much is sorted out afterwards."""
    return text(re.sub(rb"[*?_]", b"?", inside))


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize - _RESERVE


def _sort_out(root: bytes, kept: set[bytes], left_out: set[bytes]) -> int:
    """Below `root` are only ordinary files (0600) and folders (0700) whose shown path is in `kept`, or which lead there. Returns the bytes
    of the files. Follows no link. Raises OSError."""
    written = 0
    leading = {path[:at] for path in kept for at in range(len(path)) if path[at : at + 1] == b"/"} | kept

    def walk(folder: bytes, before: bytes) -> None:
        nonlocal written
        os.chmod(folder, 0o700)
        with os.scandir(folder) as names:
            found = list(names)
        for entry in found:
            mine = before + shown(entry.name)
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                if mine in leading:
                    walk(entry.path, mine + b"/")
                else:
                    remove_tree(Path(os.fsdecode(entry.path)))
            elif stat.S_ISREG(status.st_mode) and mine in kept and not (mine in left_out and status.st_size == 0):
                os.chmod(entry.path, 0o600)
                written += status.st_size
            else:
                os.unlink(entry.path)

    walk(root, b"")
    return written


def _like(root: bytes, parts: Sequence[bytes]) -> list[bytes]:
    """Paths below `root` whose parts are shown like these: several when names differ in control characters only."""
    found = [root]
    for part in parts:
        found = [
            os.path.join(folder, name) for folder in found if os.path.isdir(folder) for name in os.listdir(folder) if shown(name) == part
        ]
    return found
