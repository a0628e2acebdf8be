# SPDX-License-Identifier: MIT
"""Room for a file that somebody in this process has locked."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labvirt.system.reserve import keep_for

ASK = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def locked(path: Path) -> bool:
    """Is another process refused?"""
    return subprocess.run([sys.executable, "-c", ASK, str(path)], capture_output=True, check=False).returncode != 0


def test_the_room_is_there_and_the_locks_of_this_process_stay(tmp_path: Path) -> None:
    """SQLite's locks are of this kind. An index whose lock is lost is cut by the next who opens the database, and who has it mapped dies
    of SIGBUS."""
    path = tmp_path / "index"
    path.write_bytes(b"old")
    with path.open("r+b") as mine:
        fcntl.lockf(mine, fcntl.LOCK_SH)
        assert locked(path)
        assert keep_for(path, 64 << 10, leaving=1)
        assert os.stat(path).st_blocks * 512 >= 64 << 10
        assert mine.read() == b"old"
        assert locked(path)
        path.open("rb").close()  # the control: this is how they would be lost
        assert not locked(path)


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with pytest.raises(FileNotFoundError):
        keep_for(path, 1 << 16, leaving=1)
    path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="no ordinary file"):
        keep_for(path, 1 << 16, leaving=1)
    path.unlink()
    path.write_bytes(b"")
    assert not keep_for(path, 1 << 16, leaving=1 << 60)
    assert os.stat(path).st_blocks == 0
    assert keep_for(path, 1 << 16, leaving=1)
