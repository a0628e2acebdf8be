# SPDX-License-Identifier: MIT
"""A state folder appears out of a backup: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from labvirt.archive import reading
from labvirt.archive.trouble import translated
from labvirt.contracts.archive import BackupFacts
from labvirt.contracts.images import Progress, silent
from labvirt.errors import Conflict
from labvirt.system import locks
from labvirt.system.files import remove_tree, sync_folder


def restore(file: Path, into: Path, finish: Callable[[Path, BackupFacts], None], progress: Progress = silent) -> BackupFacts:
    """`into`, which did not exist or was an empty folder, is a state folder with everything of the backup. It is made under a hidden name
    beside it; `finish` makes the rest there (migrates the database ...), then it is renamed. A process that is killed leaves at most the
    hidden folder, which the next one removes.

    Raises Conflict (`into` holds something; somebody else restores there), InvalidInput, DiskError, Exhausted('disk').
    """
    _check_empty(into)
    stage = into.with_name(f".{into.name}.restoring")
    own = stage.with_name(f"{stage.name}.lock")
    with translated("restore into", into):
        into.parent.mkdir(parents=True, exist_ok=True)
        lock = locks.take(own)
    if lock is None:
        raise Conflict(f"Somebody else restores into {into}.", hint="Wait for it, or choose another folder.")
    with lock, translated("restore into", into):
        try:
            remove_tree(stage)
            stage.mkdir(mode=0o700)
            found = reading.unpack(file, stage, progress)
            finish(stage, found)
            _sync(stage)
            _check_empty(into)
            os.rename(stage, into)  # in the place of an empty folder too (rename(2)); one that is not empty any more refuses
            sync_folder(into.parent)
        finally:
            remove_tree(stage)
            own.unlink(missing_ok=True)
    return found


def _check_empty(into: Path) -> None:
    with translated("look into", into):
        if os.path.lexists(into) and (into.is_symlink() or not into.is_dir() or any(into.iterdir())):
            raise Conflict(
                f"{into} is there already, and is not an empty folder.",
                hint="A backup is never restored over something: choose another --into.",
            )


def _sync(stage: Path) -> None:
    for path, _, files in os.walk(stage):
        for name in files:
            descriptor = os.open(Path(path) / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(path))
