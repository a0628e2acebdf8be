# SPDX-License-Identifier: MIT
"""Who works, or would like to, is told from who sleeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from labvirt.system import demand


def test_who_works_wants_more_than_who_sleeps() -> None:
    busy = subprocess.Popen((sys.executable, "-c", "while True: pass"))
    idle = subprocess.Popen((sys.executable, "-c", "print(flush=True); input()"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert idle.stdout is not None
        idle.stdout.readline()
        first = demand.seconds(idle.pid)
        assert first is not None
        start = demand.seconds(busy.pid)
        while (now := demand.seconds(busy.pid)) is None or start is None or now - start < 0.5:
            pass
        slept = demand.seconds(idle.pid)
        assert slept is not None
        assert slept - first < 0.25
    finally:
        for each in (busy, idle):
            each.kill()
            each.communicate()


def test_all_threads_are_counted_and_what_cannot_be_known_is_none(tmp_path: Path) -> None:
    for thread, text in (("7", "1500000000 500000000 9\n"), ("8", "1000000000 0 1\n")):
        (tmp_path / "7" / "task" / thread).mkdir(parents=True)
        (tmp_path / "7" / "task" / thread / "schedstat").write_text(text)
    assert demand.seconds(7, tmp_path) == 3.0
    assert demand.seconds(9, tmp_path) is None
    (tmp_path / "7" / "task" / "8" / "schedstat").write_text("nonsense")
    assert demand.seconds(7, tmp_path) is None
