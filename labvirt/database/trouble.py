# SPDX-License-Identifier: MIT
"""SQLite's and SQLAlchemy's errors in our words: what is wrong with the database and what to do about it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import exc

from labvirt.errors import DatabaseError, LabVirtError

BUSY_SECONDS = 5.0

NEEDED_BYTES = 64 << 10


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Every error of the database library inside leaves as a DatabaseError with a hint; ours pass."""
    try:
        yield
    except LabVirtError:
        raise
    except (exc.SQLAlchemyError, sqlite3.Error) as error:
        raise explained(path, error) from error


def explained(path: Path, error: Exception) -> DatabaseError:
    """The sentence for this error of this database."""
    text = str(getattr(error, "orig", None) or error).lower()
    if "locked" in text or "busy" in text or isinstance(error, exc.TimeoutError):
        return busy(path)
    if "full" in text or (("disk i/o" in text or "unable to open" in text) and _is_full(path.parent)):
        return lasting(
            "There is no room on the disk for the database.",
            hint=f"Make room on the disk of {path.parent}, then try again: labvirt image gc while labvirt serve runs, "
            f"or remove what is not needed (df -h and df -i show what is full).",
        )
    if "malformed" in text or "not a database" in text or "disk i/o" in text or "corrupt" in text:
        return damaged(path, text)
    if "readonly" in text or "read-only" in text or "unable to open" in text or "permission" in text:
        return lasting(
            f"The database {path} cannot be opened for writing.",
            hint=f"Run this as the owner of {path.parent} (ls -ld {path.parent}).",
        )
    return lasting(f"The database refused: {text}.", hint=f"Run: labvirt doctor --state {path.parent}")


def _is_full(folder: Path) -> bool:
    """Where SQLite cannot make its files beside the database it only says that there was an error (SQLITE_IOERR_SHMSIZE: 32 KiB)."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < NEEDED_BYTES or (found.f_files > 0 and found.f_favail == 0)


def busy(path: Path) -> DatabaseError:
    return DatabaseError(
        f"The database {path} is busy: somebody else has been writing for more than {BUSY_SECONDS:.0f} s.",
        hint="Try again. If it stays so, look who holds it: fuser -v " + str(path),
    )


def damaged(path: Path, why: str) -> DatabaseError:
    return lasting(
        f"The database {path} is damaged ({why}).",
        hint=f"Running desktops are not touched. Stop labvirt serve, move {path.name}* aside, put a backup"
        f" ({path.name}.before-* or your own) in its place, or run labvirt init again and adopt the terminals anew.",
    )


def lasting(sentence: str, *, hint: str) -> DatabaseError:
    """A DatabaseError that trying again does not mend."""
    error = DatabaseError(sentence, hint=hint)
    error.retryable = False
    return error
