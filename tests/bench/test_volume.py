# SPDX-License-Identifier: MIT
"""Nothing of a benchmark's file systems stays, even when the benchmark is killed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import seal_worker

pytestmark = pytest.mark.real

PROGRAM = "import sys; from tests.bench.volume import alone; alone(*sys.argv[1:])"


def test_a_killed_benchmark_leaves_no_mount_no_loop_device_and_no_process(tmp_path: Path) -> None:
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("needs mkfs.xfs: apt-get install xfsprogs")
    words = (seal_worker.__name__, str(tmp_path), "32", "1", "1000", "0")
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stderr=subprocess.PIPE) as running:
        try:
            wait_for(lambda: loops(tmp_path / "ext4.img") and processes(tmp_path))
        finally:
            running.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(loops(tmp_path / f"{kind}.img") for kind in ("xfs", "ext4")) and not processes(tmp_path))
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def loops(file: Path) -> str:
    if not file.exists():
        return ""
    return subprocess.run(["losetup", "-j", str(file)], capture_output=True, text=True, check=True, timeout=20).stdout


def processes(folder: Path) -> list[str]:
    found = subprocess.run(["pgrep", "-f", f"{seal_worker.__name__} {folder} "], capture_output=True, text=True, check=False, timeout=20)
    return found.stdout.split()


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)
