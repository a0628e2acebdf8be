# SPDX-License-Identifier: MIT
"""Where versions are made before they have a name: one locked folder per work, in `.stage` beside the versions.

Whoever is killed leaves his folder behind and loses its lock; the next one who begins removes it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.system import locks
from labvirt.system.files import private_folder, remove_tree, sync_folder

STAGE = ".stage"


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A private, empty folder on the file system of `root`. It is gone afterwards, whatever happened. Raises OSError."""
    stage = private_folder(root / STAGE)
    name = secrets.token_hex(8)
    folder = stage / name
    with _entrance(stage):
        _clean(stage)
        lock = locks.take(_lock_of(folder), wait=True)
        assert lock is not None
        folder.mkdir(mode=0o700)
    with lock:
        try:
            yield folder
        finally:
            remove_tree(folder)
            _lock_of(folder).unlink(missing_ok=True)


def put_away(root: Path, folder: Path) -> None:
    """`folder`, on the file system of `root`, is gone: out of sight by one rename. What is left of it when we are killed, the next work
    removes. Nothing is made for it: a full disk must not keep anybody from making room. Raises OSError."""
    stage = private_folder(root / STAGE)
    with _entrance(stage):  # nobody cleans meanwhile
        away = stage / secrets.token_hex(8)
        folder.rename(away)
        sync_folder(folder.parent)
        remove_tree(away)


def clean(root: Path) -> tuple[str, ...]:
    """What dead ones left in the stage of `root` is gone; returns its names. Works that are going on are not touched. Raises OSError."""
    stage = root / STAGE
    if not stage.is_dir():
        return ()
    with _entrance(stage):
        return _clean(stage)


def _entrance(stage: Path) -> locks.Lock:
    """Held for the moment in which folders are made or cleaned, so that no folder without its lock is ever seen."""
    entrance = locks.take(stage / "entrance.lock", wait=True)
    assert entrance is not None
    return entrance


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _clean(stage: Path) -> tuple[str, ...]:
    removed = []
    with os.scandir(stage) as entries:
        names = {entry.name.removesuffix(".lock") for entry in entries} - {"entrance"}
    for name in sorted(names):
        folder = stage / name
        lock = locks.take(_lock_of(folder))
        if lock is None:
            continue
        with lock:
            remove_tree(folder)
            _lock_of(folder).unlink(missing_ok=True)
        removed.append(name)
    return tuple(removed)
