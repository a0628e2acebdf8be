# SPDX-License-Identifier: MIT
"""Which files of a state folder a backup is made of, beside the database."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from labvirt.archive.manifest import is_path

SMALL = 64 << 20
"""No file of these is larger; one that is, is somebody else's, and left out."""
_DEEP = {"secrets": 2, "homes": 1, "checks": 2}
_IMAGES = "images"
_MANIFEST = "manifest.json"
_LEASES = "leases"


def small(state: Path) -> Iterator[tuple[str, Path]]:
    """Settings, secrets, logins for homes, profiles' checks, leases, manifests of versions: name in the backup, and the file. Links
    and what is no ordinary file are passed by. Raises OSError."""
    if _is_ordinary(state / "labvirt.toml"):
        yield "labvirt.toml", state / "labvirt.toml"
    for top, depth in _DEEP.items():
        for path in _files(state / top, depth):
            yield path.relative_to(state).as_posix(), path
    for lab in _folders(state / "networks"):
        if _is_ordinary(lab / _LEASES):
            yield f"networks/{lab.name}/{_LEASES}", lab / _LEASES
    for image in _folders(state / _IMAGES):
        for version in _folders(image):
            if _is_ordinary(version / _MANIFEST):
                yield (version / _MANIFEST).relative_to(state).as_posix(), version / _MANIFEST


def beside(state: Path, file: Path) -> Iterator[tuple[str, Path]]:
    """What lies beside a version's disk (UEFI variables, TPM state), without its manifest."""
    for path in _files(file.parent, 2):
        if path != file and path.name != _MANIFEST:
            yield path.relative_to(state).as_posix(), path


def _files(folder: Path, depth: int) -> Iterator[Path]:
    for path in _listed(folder):
        if _is_ordinary(path):
            if is_path(f"checks/{path.name}"):
                yield path
        elif depth > 1 and path.is_dir() and not path.is_symlink():
            yield from _files(path, depth - 1)


def _folders(folder: Path) -> Iterator[Path]:
    yield from (path for path in _listed(folder) if path.is_dir() and not path.is_symlink() and is_path(f"checks/{path.name}"))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_ordinary(path: Path) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode)
