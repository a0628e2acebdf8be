# SPDX-License-Identifier: MIT
"""A descriptor that is lent is opened by the one who may, as long as he may, and nobody is left who holds it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labvirt.system import process
from labvirt.system.lending import lent
from labvirt.system.privileges import as_user
from labvirt.system.sealed_memory import SealedMemory, seal

BORROWER, STRANGER = 0x20000000 + 4095 * 4096 + 4001, 0x20000000 + 4095 * 4096 + 4002


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SealedMemory]:
    (tmp_path / "ram").write_bytes(b"what the guest remembers")
    with (tmp_path / "ram").open("rb") as file:
        sealed = seal(file.fileno(), "lent")
    yield sealed
    sealed.close()


def reads(uid: int, path: Path) -> bytes:
    """What a program of this user finds there when it opens it for reading and writing, as QEMU does."""
    script = f"import os; file = os.open({str(path)!r}, os.O_RDWR); print(os.read(file, 100).decode())"
    return process.run((*as_user(uid), "/usr/bin/python3", "-I", "-c", script), timeout=60).stdout.strip()


@pytest.mark.real
@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends to other users")
def test_only_the_borrower_opens_it_and_nobody_holds_it_afterwards(memory: SealedMemory) -> None:
    with lent(memory.descriptor, BORROWER) as path:
        where = Path("/proc") / path
        assert reads(BORROWER, where) == b"what the guest remembers"
        assert reads(STRANGER, where) == b""
        assert reads(BORROWER, Path(f"/proc/{os.getpid()}/fd/{memory.descriptor}")) == b""
        holder = process.identify(int(path.parts[0]))
        assert holder is not None
    assert not process.is_alive(holder)
    assert reads(BORROWER, where) == b""


def test_who_is_nobody_else_lends_to_himself(memory: SealedMemory) -> None:
    with lent(memory.descriptor, None) as path:
        assert (Path("/proc") / path).read_bytes() == b"what the guest remembers"


def test_it_is_given_back_when_the_block_fails_and_when_the_lender_is_killed(memory: SealedMemory) -> None:
    with contextlib.suppress(KeyError), lent(memory.descriptor, None) as path:
        first = process.identify(int(path.parts[0]))
        raise KeyError
    assert first is not None
    assert not process.is_alive(first)
    script = (
        "import os, sys; from labvirt.system.lending import lent\nwith lent(0, None) as path: print(path, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen((sys.executable, "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lender:
        assert lender.stdout is not None
        second = process.identify(int(lender.stdout.readline().split(b"/")[0]))
        assert second is not None
        lender.send_signal(signal.SIGKILL)
    assert process.wait_end(second, 30)
