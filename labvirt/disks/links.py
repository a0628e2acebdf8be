# SPDX-License-Identifier: MIT
"""What the overlays at hand stand on: the headers of runs', drafts' and kept files, read as what a guest's QEMU may have written.

A name in such a header is never opened. It is looked for among our own places by its last parts, so a state folder may be moved.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks.inspection import open_regular
from labvirt.disks.places import DISK, Places, is_version_file
from labvirt.disks.qcow2_header import HEAD_BYTES, Incompatible, Qcow2Header, parse
from labvirt.domain.draft import check_draft_name
from labvirt.domain.guest import RunId
from labvirt.domain.template import TemplateName
from labvirt.errors import ImageDamaged, InvalidInput

OVERLAY = re.compile(r"overlay-([0-9]{1,3})\.qcow2\Z", re.ASCII)
_TEMPLATE_DISK = re.compile(r"disk-[0-9]{1,3}\.qcow2\Z", re.ASCII)
DEEPEST = 64
"""Files in one chain; more is a circle or a joke."""


def overlay_name(place: int) -> str:
    return f"overlay-{place}.qcow2"


def run_of(name: str) -> RunId | None:
    """The run that a folder is called like, or None."""
    try:
        return RunId.parse(name)
    except InvalidInput:
        return None


def is_draft(name: str) -> bool:
    try:
        check_draft_name(name)
    except InvalidInput:
        return False
    return True


def template_of(places: Places, path: Path) -> TemplateName | None:
    """The template whose disk `path` is called like; looks at no file."""
    if path.parent.parent != places.templates or not _TEMPLATE_DISK.match(path.name):
        return None
    try:
        return TemplateName.parse(path.parent.name)
    except InvalidInput:
        return None


def header_of(path: Path, subject: str) -> Qcow2Header:
    """The header of an ordinary file. Raises ImageDamaged that names `subject`, DiskError."""
    try:
        descriptor = open_regular(path, "file")
    except InvalidInput as error:
        raise _damaged(subject, error.reason) from error
    try:
        return parse(os.pread(descriptor, HEAD_BYTES, 0))
    except ImageDamaged as error:
        raise _damaged(subject, error.sentence.rstrip(".")) from error
    finally:
        os.close(descriptor)


def stands_on(places: Places, path: Path, subject: str) -> DiskLayer | None:
    """The file of ours (version, kept overlay, template's disk) that the header of `path` names, with its format; None: it is complete.

    Raises ImageDamaged when it names anything else, keeps its data elsewhere, or is not qcow2; DiskError."""
    header = header_of(path, subject)
    if header.data_file is not None or header.incompatible & Incompatible.DATA_FILE or header.encrypted:
        raise _damaged(subject, "its data is in another file, or encrypted")
    if header.backing_file is None:
        return None
    below = ours(places, path, header.backing_file)
    if below is None or header.backing_format not in ("qcow2", "raw"):
        raise _damaged(subject, "it stands on a file that is no version, no kept overlay and no template's disk")
    return DiskLayer(path=below, format=header.backing_format)


def ours(places: Places, path: Path, name: bytes) -> Path | None:
    """The place of ours that `name`, in the header of `path`, means. Pure."""
    if b"\0" in name:
        return None
    parts = places.stands_on(path, name).parts
    version = PurePosixPath(*parts[-3:])
    if is_version_file(version):
        return places.images / version
    if len(parts) >= 2 and OVERLAY.match(parts[-1]) and run_of(parts[-2]) is not None:
        return places.kept / parts[-2] / parts[-1]
    if len(parts) >= 2 and template_of(places, frozen := places.templates / parts[-2] / parts[-1]) is not None:
        return frozen
    return None


def chain_from(places: Places, path: Path, subject: str) -> tuple[DiskLayer, ...]:
    """The layers below the overlay `path` as the real headers have them, all there. Raises ImageDamaged, DiskError."""
    layers: list[DiskLayer] = []
    below = stands_on(places, path, subject)
    while below is not None:
        if len(layers) >= DEEPEST:
            raise _damaged(subject, "its chain does not end")
        layers.append(below)
        if below.format == "raw" and not is_ordinary(below.path):
            raise _damaged(subject, f"{below.path.parent.name}/{below.path.name} is not there")
        below = stands_on(places, below.path, subject) if below.format == "qcow2" else None
    return tuple(layers)


def written(path: Path) -> bool:
    """Has anything been written to this overlay since it was made? Its L1 table tells; when it cannot be read: yes. Raises OSError."""
    try:
        descriptor = open_regular(path, "file")
        try:
            header = parse(os.pread(descriptor, HEAD_BYTES, 0))
            table = os.pread(descriptor, header.l1_entries * 8, header.l1_offset)
        finally:
            os.close(descriptor)
    except (ImageDamaged, InvalidInput):
        return True
    return len(table) < header.l1_entries * 8 or any(table)


def is_ordinary(path: Path) -> bool:
    """An ordinary file lies there (no link). Raises OSError."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def folders(root: Path) -> Iterator[Path]:
    """The folders in `root` (no links), by name; none when it does not exist. Raises OSError."""
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return
    yield from (root / name for name in names)


def overlays_in(folder: Path) -> tuple[tuple[int, Path], ...]:
    """(place, file) of the overlays in a run's or kept folder: ordinary files only. Raises OSError."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    found = [(int(match[1]), folder / name) for name in names if (match := OVERLAY.match(name)) is not None]
    return tuple((place, path) for place, path in found if is_ordinary(path))


def linking_run(places: Places, draft: Path) -> tuple[str, Path] | None:
    """The run (its name and its folder) that has a hard link of the draft's file, whatever it is called there. Raises OSError."""
    try:
        wanted = os.lstat(draft)
    except FileNotFoundError:
        return None
    if wanted.st_nlink < 2:
        return None
    for folder in folders(places.runs):
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:  # a run that ends just now
            for entry in entries:
                if entry.inode() == wanted.st_ino and os.lstat(entry.path).st_dev == wanted.st_dev:
                    return folder.name, folder
    return None


def linked_drafts(places: Places, folder: Path) -> tuple[Path, ...]:
    """The folders of the drafts whose files are linked in a run's folder. Raises OSError."""
    found = []
    try:
        with os.scandir(folder) as entries:
            many = {(status.st_dev, status.st_ino) for entry in entries if (status := os.lstat(entry.path)).st_nlink > 1}
    except (FileNotFoundError, NotADirectoryError):
        return ()
    for draft in folders(places.drafts) if many else ():
        try:
            status = os.lstat(draft / DISK)
        except FileNotFoundError:
            continue
        if (status.st_dev, status.st_ino) in many:
            found.append(draft)
    return tuple(found)


def _damaged(subject: str, why: str) -> ImageDamaged:
    return ImageDamaged(
        f"The overlay of {subject} cannot be used: {why}.",
        operation="read the header",
        subject=subject,
        hint="It is never repaired here. Start afresh, or look at it by hand: qemu-img info FILE.",
    )
