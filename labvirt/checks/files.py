# SPDX-License-Identifier: MIT
"""Profiles' check files, one folder per profile, and the pictures of canaries: whole or absent, with names that cannot lead elsewhere."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

from labvirt.domain.names import check_name
from labvirt.errors import DiskError, InvalidInput, NotFound
from labvirt.system import files

TEXT_BYTES = 256 << 10
PICTURE_BYTES = 64 << 20
_CHECK = re.compile(r"[a-z][a-z0-9_]{0,40}\.py\Z", re.ASCII)
_PICTURE = re.compile(r"[a-z][a-z0-9.-]{0,80}\.png\Z", re.ASCII)


def check_path(root: Path, profile: str, name: str) -> Path:
    """Where it lies (or would). Raises InvalidInput for a name that is none."""
    check_name(profile, "profile")
    if not _CHECK.match(name) or name == "conftest.py":
        raise InvalidInput("check", "must be a file name of a-z, 0-9 and '_', ending with .py", hint="For example office.py")
    return root / profile / name


def put_check(root: Path, profile: str, name: str, text: str) -> None:
    """Raises InvalidInput (name; too long; not Python), DiskError."""
    path = check_path(root, profile, name)
    _must_be_python(name, text)
    try:
        files.private_folder(path.parent)
        files.write_atomic(path, text, mode=0o644)  # read by the checks' own user, through a mount: the folder stays closed
    except OSError as error:
        raise DiskError(f"The check {name} of {profile} cannot be written: {error.strerror}.", operation="write", subject=name) from error


def get_check(root: Path, profile: str, name: str) -> str:
    """Raises NotFound, InvalidInput, DiskError."""
    path = check_path(root, profile, name)
    try:
        return files.read_bounded(path, TEXT_BYTES).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise NotFound("check", f"{profile}/{name}") from error
    except OSError as error:
        raise DiskError(f"The check {name} of {profile} cannot be read: {error.strerror}.", operation="read", subject=name) from error


def remove_check(root: Path, profile: str, name: str) -> None:
    """Absent is fine. Raises InvalidInput, DiskError."""
    path = check_path(root, profile, name)
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            files.sync_folder(path.parent)
    except OSError as error:
        raise DiskError(f"The check {name} of {profile} cannot be removed: {error.strerror}.", operation="remove", subject=name) from error


def copy_checks(root: Path, profile: str, new_profile: str) -> None:
    """Every check file of `profile` is one of `new_profile` too. Raises InvalidInput, DiskError."""
    check_name(new_profile, "profile")
    source = root / check_name(profile, "profile")
    for path in sorted(source.glob("*.py")) if source.is_dir() else ():
        if _CHECK.match(path.name):
            put_check(root, new_profile, path.name, get_check(root, profile, path.name))


def keep_picture(root: Path, name: str, png: bytes) -> None:
    """Raises InvalidInput, DiskError."""
    if len(png) > PICTURE_BYTES:
        raise InvalidInput("picture", f"must be at most {PICTURE_BYTES} bytes")
    try:
        files.write_atomic(_picture_path(root, name), png)
    except OSError as error:
        raise DiskError(f"The picture {name} cannot be written: {error.strerror}.", operation="write", subject=name) from error


def picture(root: Path, name: str) -> bytes:
    """Raises NotFound, InvalidInput, DiskError."""
    try:
        return files.read_bounded(_picture_path(root, name), PICTURE_BYTES)
    except FileNotFoundError as error:
        raise NotFound("picture", name) from error
    except OSError as error:
        raise DiskError(f"The picture {name} cannot be read: {error.strerror}.", operation="read", subject=name) from error


def picture_names(root: Path) -> tuple[str, ...]:
    """Raises DiskError."""
    try:
        return tuple(sorted(path.name for path in root.iterdir() if _PICTURE.match(path.name))) if root.is_dir() else ()
    except OSError as error:
        raise DiskError(f"The pictures of canaries cannot be listed: {error.strerror}.", operation="list", subject=root.name) from error


def remove_picture(root: Path, name: str) -> None:
    """Absent is fine. Raises InvalidInput, DiskError."""
    try:
        _picture_path(root, name).unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"The picture {name} cannot be removed: {error.strerror}.", operation="remove", subject=name) from error


def _picture_path(root: Path, name: str) -> Path:
    if not _PICTURE.match(name) or ".." in name:
        raise InvalidInput("picture", "is not the name of a picture", hint="It looks like tiny.v3.png")
    return root / name


def _must_be_python(name: str, text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES:
        raise InvalidInput("check", f"must be at most {TEXT_BYTES >> 10} KiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text, name)
    except SyntaxError as error:
        raise InvalidInput("check", f"{name} is not Python: {error.msg} (line {error.lineno})") from error
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes, or nested deeper than anybody writes
        raise InvalidInput("check", f"{name} cannot be read as Python: {type(error).__name__}") from error
