# SPDX-License-Identifier: MIT
"""The demo on the real thing: judged from outside, and gone afterwards, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

DEMO = [sys.executable, "-P", "-m", "labvirt", "demo"]


def traces(owner: int) -> list[str]:
    """Namespaces, folders and processes of the demo that this pid owned."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [name.split(" ")[0] for name in names if name.startswith(f"lvd{owner}x")]
    found += [str(path) for path in Path(os.environ.get("TMPDIR", "/tmp")).glob(f"labvirt-demo-{owner}x*")]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if f"labvirt-demo-{owner}x".encode() in words:
            found.append(path.parent.name)
    return found


def wait_for(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_two_terminals_come_up_each_with_its_own_guest_and_everything_is_removed(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    demo = subprocess.Popen([*DEMO, "--check", "--json", str(report), "--terminals", "2"], stderr=subprocess.PIPE, text=True)
    _, said = demo.communicate(timeout=380)
    told = json.loads(report.read_text()) if report.exists() else {}
    assert demo.returncode == 0, (said[-2000:], told)
    assert told["ok"] is True
    assert told["accelerator"] in ("kvm", "tcg")
    assert [seat["seat"] for seat in told["seats"]] == [1, 2]
    assert [seat["address"] for seat in told["seats"]] == ["10.77.0.129", "10.77.0.130"]
    assert len({seat["mac"] for seat in told["seats"]}) == 2
    for seat in told["seats"]:
        assert (seat["lease_seen"], seat["name_resolves"], seat["viewer_connected"]) == (True, True, True)
        assert isinstance(seat["guest_answers_ms"], int)
        with Image.open(seat["screenshot"]) as picture:
            assert picture.size == (1024, 768)
    assert traces(demo.pid) == []


def test_ctrl_c_removes_everything_and_a_killed_demo_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = subprocess.Popen([*DEMO, "--terminals", "1"], stderr=subprocess.DEVNULL)
    assert wait_for(lambda: any(name.endswith("-t1") for name in traces(killed.pid)), 90)  # positive control: there is something to remove
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert traces(killed.pid) != []

    stopped = subprocess.Popen([*DEMO, "--terminals", "1"], stderr=subprocess.DEVNULL)
    assert wait_for(lambda: any(name.endswith("-t1") for name in traces(stopped.pid)), 90)
    assert traces(killed.pid) == []
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(60) == 0
    assert traces(stopped.pid) == []


def test_a_demo_of_too_many_terminals_is_wrong_use() -> None:
    demo = subprocess.run([*DEMO, "--terminals", "1000"], capture_output=True, text=True, timeout=60)
    assert demo.returncode == 2
    assert "terminals" in demo.stderr
    assert "Traceback" not in demo.stderr
