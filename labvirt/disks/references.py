# SPDX-License-Identifier: MIT
"""What stands on what, read from the real headers of every disk file: whoever concludes that a file is unused asks here.

A header is read, never followed: names in it are compared with the store's own names, and no file is opened because of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labvirt.contracts.images import StoreEntry
from labvirt.disks import links
from labvirt.disks.failure import translated
from labvirt.disks.places import DISK, Places, number_of
from labvirt.disks.qcow2_header import HEAD_BYTES, parse
from labvirt.domain.template import TemplateName
from labvirt.errors import DiskError, ImageDamaged, LabVirtError
from labvirt.system.files import read_bounded

_OVERLAYS = "overlay-*.qcow2"
_TEMPLATE_DISKS = "disk-*.qcow2"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overlay:
    """A file that may stand on another one, and how people call it."""

    path: Path
    label: str
    alone: bool
    """It may stand on nothing: a version may, an overlay never."""


def entries(places: Places) -> tuple[StoreEntry, ...]:
    """Every version folder by its name, whatever is in it. A header that cannot be read says nothing here (`references` complains)."""
    found = []
    with translated("read", str(places.images)):
        for folder in _version_folders(places):
            with os.scandir(folder) as files:
                used = sum(each.stat(follow_symlinks=False).st_blocks * 512 for each in files)
            below = None
            if os.path.lexists(folder / DISK):
                try:
                    target = stands_on(places, folder / DISK)
                    below = None if target is None else places.in_store(target)
                except (LabVirtError, OSError):
                    below = None
            file = PurePosixPath(folder.parent.name, folder.name, DISK)
            found.append(StoreEntry(file=file, used_bytes=used, stands_on=below))
    return tuple(found)


def references(places: Places) -> dict[PurePosixPath, tuple[str, ...]]:
    """See contracts.images."""
    found: dict[PurePosixPath, list[str]] = {}
    for overlay, target in _standing(places, _overlays(places)):
        if target is None and overlay.alone:
            continue
        below = None if target is None else places.in_store(target)
        if below is not None:
            if overlay.label not in found.setdefault(below, []):
                found[below].append(overlay.label)
        elif target is None or not (target.is_relative_to(places.kept) or links.template_of(places, target)):
            raise _unreadable(overlay, "it stands on nothing that is known here")
    return {file: tuple(labels) for file, labels in found.items()}


def template_users(places: Places) -> dict[TemplateName, tuple[str, ...]]:
    """See contracts.disks."""
    found: dict[TemplateName, list[str]] = {}
    for overlay, target in _standing(places, _written(places)):
        name = None if target is None else links.template_of(places, target)
        if name is not None and overlay.label not in found.setdefault(name, []):
            found[name].append(overlay.label)
    return {name: tuple(labels) for name, labels in found.items()}


def _standing(places: Places, overlays: Iterator[_Overlay]) -> Iterator[tuple[_Overlay, Path | None]]:
    """Each with what it stands on. Raises DiskError when that cannot be read."""
    for overlay in overlays:
        try:
            target = stands_on(places, overlay.path)
        except FileNotFoundError:  # its run ended just now
            continue
        except OSError as error:
            raise _unreadable(overlay, error.strerror or str(error)) from error
        except ImageDamaged as error:
            raise _unreadable(overlay, error.sentence.rstrip(".")) from error
        yield overlay, target


def stands_on(places: Places, path: Path) -> Path | None:
    """The file that this qcow2 file's header names below it, as a path nobody followed; None if it names none.

    Raises ImageDamaged (no header), OSError (also for what is no ordinary file).
    """
    name = parse(read_bounded(path, HEAD_BYTES)).backing_file
    if name is None:
        return None
    named = places.stands_on(path, name)
    # The state folder may have been moved since: then what is meant has the same last names here.
    here = links.ours(places, path, name)
    return here if here is not None and places.in_store(named) is None and links.is_ordinary(here) else named


def _overlays(places: Places) -> Iterator[_Overlay]:
    with translated("read", str(places.images)):
        for folder in _version_folders(places):
            if os.path.lexists(folder / DISK):
                yield _Overlay(path=folder / DISK, label=f"{folder.parent.name} v{number_of(folder.name)}", alone=True)
    yield from _written(places)
    yield from _in_folders(places.templates, "template ", _TEMPLATE_DISKS)


def _written(places: Places) -> Iterator[_Overlay]:
    """What guests write or have written."""
    # Other names in a run's folder are its guest's affair.
    for root, before, names in ((places.runs, "", _OVERLAYS), (places.drafts, "", DISK), (places.kept, "kept ", _OVERLAYS)):
        yield from _in_folders(root, before, names)


def _in_folders(root: Path, before: str, names: str) -> Iterator[_Overlay]:
    with translated("read", str(root)):
        for folder in _folders(root):
            for path in sorted(folder.glob(names)):
                yield _Overlay(path=path, label=f"{before}{folder.name}", alone=False)


def _version_folders(places: Places) -> list[Path]:
    return [folder for image in _folders(places.images) for folder in _folders(image) if number_of(folder.name) is not None]


def _folders(root: Path) -> list[Path]:
    """By name; those that begin with a dot are somebody's workshop."""
    try:
        with os.scandir(root) as found:
            names = sorted(each.name for each in found if each.is_dir(follow_symlinks=False) and not each.name.startswith("."))
    except FileNotFoundError:
        return []
    return [root / name for name in names]


def _unreadable(overlay: _Overlay, why: str) -> DiskError:
    return DiskError(
        f"Nobody knows what {overlay.path} stands on: {why}.",
        operation="read the header of",
        subject=overlay.label,
        hint="Nothing is removed as long as it is like this. If it is of no use any more, remove it; then try again.",
    )
