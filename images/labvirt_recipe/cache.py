# SPDX-License-Identifier: MIT
"""The folder for what can be made again, one build at a time in it, and a place to work that nobody has to clear away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def default_cache() -> Path:
    """LABVIRT_CACHE, else the user's cache folder (XDG Base Directory Specification). labvirt/config.py holds the same rule."""
    if chosen := os.environ.get("LABVIRT_CACHE"):
        return Path(chosen)
    above = os.environ.get("XDG_CACHE_HOME")
    return (Path(above) if above else Path.home() / ".cache") / "labvirt"


@contextlib.contextmanager
def locked(cache: Path, recipe: str) -> Iterator[None]:
    """One build of a recipe at a time in a cache; the kernel lets go of the lock when a build is killed, and the next clears up."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{recipe}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob(f"{recipe}-build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


@contextlib.contextmanager
def workplace(cache: Path, recipe: str) -> Iterator[Path]:
    """A folder in the cache, so that what is made there gets its name by a rename; gone at the end. Under the lock."""
    with tempfile.TemporaryDirectory(prefix=f"{recipe}-build-", dir=cache) as temporary:
        yield Path(temporary)
