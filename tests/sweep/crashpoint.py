# SPDX-License-Identifier: MIT
"""The Python half of crashpoint.c: builds it, starts a process under it, and reads and sets the table that all its children share."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from enum import IntEnum
from pathlib import Path

HERE = Path(__file__).parent
_HEAD = struct.Struct("4q")
_SIZE = 4096
_ACKED = _SIZE - 8


class Fault(IntEnum):
    """Values of `armed` in crashpoint.c."""

    NONE = 0
    KILL = 1
    FAIL_SYNC = 2


class Table:
    """The shared table. `acked` is ours: what the operation has promised by then."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)

    def arm(self, fault: Fault, target: int) -> None:
        """From now on calls are counted from 1, and number `target` is hit (0: none)."""
        self._map[:] = bytes(_SIZE)
        self._map[0 : _HEAD.size] = _HEAD.pack(fault, target, 0, 0)

    def disarm(self) -> None:
        self._map[0:8] = struct.pack("q", Fault.NONE)

    @property
    def count(self) -> int:
        return int(_HEAD.unpack(self._map[0 : _HEAD.size])[2])

    @property
    def fired(self) -> bool:
        return bool(_HEAD.unpack(self._map[0 : _HEAD.size])[3])

    @property
    def what(self) -> str:
        """The call that was hit."""
        return self._map[_HEAD.size : _HEAD.size + 256].split(b"\0", 1)[0].decode("utf-8", "replace")

    @property
    def acked(self) -> bool:
        return self._map[_ACKED] == 1

    def acknowledge(self) -> None:
        """The operation has said that it is done: from here on it may not be lost."""
        self._map[_ACKED] = 1


def library() -> Path:
    """crashpoint.so, built once per content in the temporary folder."""
    source = HERE / "crashpoint.c"
    key = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    built = Path(tempfile.gettempdir()) / f"labvirt-crashpoint-{os.getuid()}-{key}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory(prefix="labvirt-crashpoint-") as folder:  # each thread of each process builds for itself
            part = Path(folder) / built.name
            subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(part), str(source), "-ldl"], check=True, timeout=60)
            part.rename(built)
    return built


def environment(table: Path, folder: Path) -> dict[str, str]:
    """For a process whose durable calls below `folder` are to be counted, with those of its children, jailed ones too."""
    real = shutil.which("bwrap")
    if real is None:
        raise RuntimeError("bubblewrap is not installed")
    Table(table)
    return {
        **os.environ,
        "LD_PRELOAD": str(library()),
        "CRASHPOINT_TABLE": str(table),
        "CRASHPOINT_FOLDER": str(folder),
        "CRASHPOINT_BWRAP": real,
        "PATH": f"{HERE / 'bin'}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
