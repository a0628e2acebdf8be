# SPDX-License-Identifier: MIT
"""Files that are whole or absent, and folders that nobody else looks into. What the files mean is not known here."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o600, owner: int | None = None) -> None:
    """`path` holds `data` and survives a power cut; a reader saw the old or the new file, never a mixture.

    As root `owner` (user and group) may be given. After a failure (OSError) the old file stands and nothing is left
    beside it.
    """
    raw = data.encode() if isinstance(data, str) else data
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            if owner is not None:
                # PRIVILEGE: CAP_CHOWN. The file was made by us one line above (O_EXCL), so nobody else's file is given
                # away.
                os.fchown(descriptor, owner, owner)
            os.fchmod(descriptor, mode)  # the umask must not decide
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(raw)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Names made, renamed or removed in `path` survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(path: Path, *, owner: int | None = None, mode: int = 0o700) -> Path:
    """`path` is a folder with this mode, its parents exist.

    An existing one is corrected; a link in its place is refused (OSError).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if owner is not None:
            # PRIVILEGE: CAP_CHOWN. O_NOFOLLOW and O_DIRECTORY: it is the folder itself, not a link to something else.
            os.fchown(descriptor, owner, owner)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return path


def remove_tree(path: Path) -> None:
    """`path` and everything in it is gone, however deep it is nested; links are removed, not followed. Absent is fine. Raises OSError."""
    try:
        top = os.open(path, _FOLDER)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        path.unlink(missing_ok=True)
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()


def _empty(top: int) -> None:
    """Folders in folders are lifted into the top one first: two descriptors and no recursion, whatever a hostile guest has nested."""
    waiting = _without_files(top)
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(FileNotFoundError):
            folder = os.open(name, _FOLDER, dir_fd=top)
            try:
                for below in _without_files(folder):
                    lifted = f".{secrets.token_hex(8)}"
                    os.rename(below, lifted, src_dir_fd=folder, dst_dir_fd=top)
                    waiting.append(lifted)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)


def _without_files(folder: int) -> list[str]:
    """Only folders are left in it: their names."""
    with os.scandir(folder) as found:
        entries = [(each.name, each.is_dir(follow_symlinks=False)) for each in found]
    for name, is_folder in entries:
        if not is_folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in entries if is_folder]


def open_regular(path: Path) -> BinaryIO:
    """An ordinary file, open for reading. Whoever else may write in its folder cannot make us follow a link or wait
    for a pipe: those are refused (OSError).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not an ordinary file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, limit: int) -> bytes:
    """The file's first `limit` bytes, read as `open_regular` allows. Raises OSError."""
    with open_regular(path) as file:
        return file.read(limit)


def read_tail(path: Path, limit: int = 4096) -> str:
    """The last `limit` bytes of a program's log as text; empty if there is no such ordinary file."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""
