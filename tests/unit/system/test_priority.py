# SPDX-License-Identifier: MIT
"""A process that gives way, with real threads."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.system.identity import identify
from labvirt.system.priority import GUEST_NICE, give_way

THREADS = """
import sys, threading
end = threading.Event()
for _ in range(3):
    threading.Thread(target=end.wait, daemon=True).start()
print("there", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def threads() -> list[str]:
    return [sys.executable, "-c", THREADS]


def nices(pid: int) -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir(f"/proc/{pid}/task")}


def test_every_thread_gives_way_and_nobody_else(threads: list[str]) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with subprocess.Popen(threads, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"there\n"
        assert nices(running.pid) == {own}
        mine = identify(running.pid)
        assert mine is not None
        give_way(replace(mine, start_ticks=mine.start_ticks - 1))
        assert nices(running.pid) == {own}, "its number is another's"
        give_way(mine)
        assert nices(running.pid) == {GUEST_NICE}
        group = Path(f"/proc/{running.pid}/autogroup")
        if group.exists() and group.read_text():
            assert group.read_text().split()[-1] == str(GUEST_NICE)
        running.communicate(b"")
    give_way(mine)  # it has ended
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
