# SPDX-License-Identifier: MIT
"""QEMU's own locks, seen by us; and ours, seen by QEMU's programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labvirt.system import image_locks
from labvirt.system.reflink import clone


@contextmanager
def held(path: Path, *options: str) -> Iterator[None]:
    """qemu-io has the disk open meanwhile."""
    argv = ["qemu-io", *options, "-f", "raw", str(path)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"length\n")
        process.stdin.flush()
        process.stdout.read(1)  # the prompt: the file is open
        process.stdout.readline()
        yield
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@pytest.mark.real
def test_who_has_a_disk_open(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert (image_locks.in_use(descriptor), image_locks.is_written(descriptor)) == (False, False)
        with held(path):
            assert (image_locks.in_use(descriptor), image_locks.is_written(descriptor)) == (True, True)
            assert not image_locks.keep_writers_out(descriptor)
        with held(path, "-r"):
            assert (image_locks.in_use(descriptor), image_locks.is_written(descriptor)) == (True, False)
        assert not image_locks.in_use(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.real
def test_writers_are_kept_out_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))

    def tried(*options: str) -> int:
        argv = ["qemu-io", *options, "-f", "raw", "-c", "length", str(path)]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode

    assert tried() == 0
    descriptor = os.open(path, os.O_RDONLY)
    assert image_locks.keep_writers_out(descriptor)
    assert tried() != 0
    assert tried("-r") == 0
    assert not image_locks.in_use(descriptor), "our own lock is not somebody else's"
    os.close(descriptor)
    assert tried() == 0


def test_where_blocks_cannot_be_shared_nothing_happens(tmp_path: Path) -> None:
    """tmpfs and ext4 cannot; where the file system can, the content is there."""
    (tmp_path / "one").write_bytes(b"x" * 8192)
    with (tmp_path / "one").open("rb") as one, (tmp_path / "two").open("wb") as two:
        shared = clone(one.fileno(), two.fileno())
    assert (tmp_path / "two").read_bytes() == (b"x" * 8192 if shared else b"")
    with (tmp_path / "one").open("rb") as one, pytest.raises(OSError, match="Bad file"):
        clone(one.fileno(), one.fileno())
