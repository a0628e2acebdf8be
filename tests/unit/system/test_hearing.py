# SPDX-License-Identifier: MIT
"""A program that is listened to while it runs, and that ends when the listener has had enough."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from labvirt.system.process import run


class Enough(Exception):
    """What a listener raises."""


def test_every_piece_is_heard_and_nothing_too() -> None:
    pieces: list[bytes] = []
    script = "import time; print('one', flush=True); time.sleep(1.2); print('two', flush=True)"
    result = run([sys.executable, "-c", script], timeout=30, heard=pieces.append)
    assert result.ok
    assert b"".join(pieces) == result.stdout == b"one\ntwo\n"
    assert b"" in pieces, "it was silent for more than half a second"


@pytest.mark.parametrize("at", ["first", "silence"])
def test_what_the_listener_raises_ends_it_and_its_children(tmp_path: Path, at: str) -> None:
    seen = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {seen}; echo started; sleep 300"

    def heard(piece: bytes) -> None:
        if (at == "first") == bool(piece):
            raise Enough

    begun = time.monotonic()
    with pytest.raises(Enough):
        run(["sh", "-c", script], timeout=60, heard=heard)
    assert time.monotonic() - begun < 50, "it waited for the end instead"
    child = int(seen.read_text())
    deadline = time.monotonic() + 10
    while _runs(child):  # killed it is; its end is the kernel's to make
        assert time.monotonic() < deadline, "its child runs on"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """A zombie does not, nor what is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_no_descriptor_is_left() -> None:
    def heard(piece: bytes) -> None:
        raise Enough

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(Enough):
            run(["sh", "-c", "echo hello; exec sleep 60"], timeout=30, heard=heard)
    assert len(os.listdir("/proc/self/fd")) == before
