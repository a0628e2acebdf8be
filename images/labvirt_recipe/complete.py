# SPDX-License-Identifier: MIT
"""Files and folders that appear complete or not at all, also after a power cut. All under the cache's lock."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

PIECE = 1 << 20


@contextlib.contextmanager
def writing(target: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """What is written becomes the target at the end; until then, and after an error, the target is what it was."""
    for stale in target.parent.glob(f".{target.name}.*.part"):
        stale.unlink(missing_ok=True)  # under the lock: whoever wrote it is dead
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    sync_folder(target.parent)


def put(source: Path, target: Path) -> None:
    """The target is a copy of the source."""
    with writing(target) as stream, source.open("rb") as original:
        shutil.copyfileobj(original, stream, PIECE)


def write_json(target: Path, content: Any) -> None:
    with writing(target) as stream:
        stream.write(json.dumps(content, indent=1).encode() + b"\n")


def move_folder(made: Path, target: Path) -> None:
    """A finished folder gets its name; what had that name is gone."""
    shutil.rmtree(target, ignore_errors=True)
    os.rename(made, target)
    sync_folder(target.parent)


def sync_file(file: Path) -> None:
    """The bytes of this file are on the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """The names in this folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
