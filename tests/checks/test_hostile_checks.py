# SPDX-License-Identifier: MIT
"""Check files that mean harm: they are bounded, see nothing, and never make a red canary green. A positive control stands beside each."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import AGENT_SOCKET, SERIAL_SOCKET
from tests.checks.channels import FakeAgent, serving, tiny_line
from tests.checks.conftest import Room, by_name

FINE = "def test_fine():\n    pass\n"


def processes_of(uid: int) -> list[str]:
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{entry}").st_uid == uid:
                found.append(Path(f"/proc/{entry}/cmdline").read_text())
        except OSError:
            continue
    return found


def test_it_sees_nothing_of_the_host(room: Room, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o644)
    places = ["/etc/shadow", str(secret), str(room.checks / "desk" / "one.py"), str(room.checks), "/boot", "/var", "/srv", "/sys"]
    report = room.run(
        f"""
import os, pytest
@pytest.mark.parametrize("place", {places!r})
def test_place(place):
    assert not os.path.lexists(place)
def test_control():
    assert os.path.exists("/usr/bin/env") and os.listdir("/checks") == ["one.py"]
    open("/tmp/scratch", "w").write("x")
def test_writes():
    for place in ("/checks/one.py", "/checks/new.py", "/inside/labvirt_check/plugin.py", "/usr/new", "/new", "/site/new"):
        with pytest.raises(OSError):
            open(place, "w")
def test_who():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert os.getuid() != 0 and os.getgroups() in ([], [os.getgid()])
def test_others():
    assert len([each for each in os.listdir("/proc") if each.isdigit()]) < 6
def test_environment():
    assert not [name for name in os.environ if name.startswith("LABVIRT_STATE")]
"""
    )
    assert [step.said for step in report.steps if not step.ok] == []


def test_the_hosts_files_are_there_without_the_sandbox(tmp_path: Path) -> None:
    """The control of the test above."""
    (tmp_path / "secret").write_text("s3cret")
    assert Path("/etc/shadow").exists()
    assert (tmp_path / "secret").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user is told apart by its number")
def test_a_fork_bomb_is_bounded_and_leaves_nobody(room: Room) -> None:
    assert room.guest.uid is not None
    report = room.run(
        """
import os
def test_control():
    if os.fork() == 0:
        os._exit(0)
    os.wait()
def test_bomb():
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
        seconds=4,
    )
    steps = by_name(report)
    assert steps["one.py::test_control"].ok
    assert not steps["one.py::test_bomb"].ok
    for _ in range(100):  # the kernel takes a moment to clear away what was killed
        if not processes_of(room.guest.uid):
            break
        threading.Event().wait(0.1)
    assert processes_of(room.guest.uid) == []


def test_an_endless_loop_ends_with_the_time(room: Room) -> None:
    report = room.run(FINE, "def test_loop():\n    while True: pass\ndef test_after(): pass\n", seconds=3)
    steps = by_name(report)
    assert steps["one.py::test_fine"].ok
    assert not steps["two.py::test_loop"].ok
    assert "while it ran" in steps["two.py::test_loop"].said
    assert "was not run" in steps["two.py::test_after"].said


def test_an_early_end_leaves_nothing_green_behind_it(room: Room) -> None:
    report = room.run(FINE, "import os\ndef test_exit():\n    os._exit(0)\ndef test_after(): pass\n")
    steps = by_name(report)
    assert steps["one.py::test_fine"].ok
    assert not steps["two.py::test_exit"].ok
    assert not steps["two.py::test_after"].ok
    at_import = room.run("import os\nos._exit(0)\n")
    assert [step.ok for step in at_import.steps] == [False]


def test_giant_output_is_cut(room: Room) -> None:
    report = room.run(FINE, "import os\ndef test_shout():\n    for _ in range(40):\n        os.write(1, b'x' * (1 << 20))\n")
    assert all(step.ok for step in report.steps)
    assert 0 < len(report.log) <= 64 << 10


def test_too_much_memory_is_refused(room: Room) -> None:
    report = room.run("def test_fine(): bytearray(1 << 20)\ndef test_memory(): bytearray(4 << 30)\n")
    assert [step.ok for step in report.steps] == [True, False]


def test_a_full_scratch_fills_nothing_else(room: Room) -> None:
    report = room.run("def test_fill():\n    with open('/tmp/x', 'wb') as f:\n        for _ in range(600): f.write(bytes(1 << 20))\n")
    assert not report.steps[0].ok


def test_a_report_of_nonsense_is_not_believed(room: Room) -> None:
    report = room.run(
        FINE,
        """
import os, json
def test_liar():
    for number in range(3, 30):
        try:
            os.write(number, b'{"done": 5}\\n[1]\\nnot json\\n{"collected": "x"}\\n\\xff\\n' + b"[" * 100000 + b"\\n")
            lie = {"done": "two.py::test_other", "ok": True, "said": "\\x1b[31m" * 200, "seconds": 1e99}
            os.write(number, json.dumps(lie).encode() + b"\\n")
        except OSError:
            pass
    assert False
""",
    )
    steps = by_name(report)
    assert steps["one.py::test_fine"].ok
    assert list(steps) == ["one.py::test_fine", "two.py::test_liar"]
    assert all("\x1b" not in step.said and len(step.said) <= 500 for step in report.steps)


def test_it_ends_soon_after_it_is_called_off(room: Room) -> None:
    over = threading.Event()
    threading.Timer(1.0, over.set).start()
    report = room.run("import time\ndef test_long():\n    time.sleep(600)\n", seconds=600, cancelled=over.is_set)
    assert [step.ok for step in report.steps] == [False]
    assert "called off" in report.steps[0].said


@pytest.mark.parametrize(
    "lie",
    [
        lambda _: b"x" * (70 << 20),
        lambda _: b'{"return": {"exited": true, "out-data": "%s"}}\n' % (b"!" * 1000),
        lambda _: b"[" * 200000 + b"\n",
        lambda _: b"\xff\xff\x00garbage\n",
        lambda _: b'{"return": []}\n',
    ],
    ids=["endless", "no-base64", "deep", "garbage", "list"],
)
def test_a_lying_agent_is_only_a_failed_check(room: Room, lie: object) -> None:
    text = "def test_run(guest):\n    done = guest.run('exit 0', timeout=5)\n    assert done.code == 0\n"
    with serving(room.guest.folder / AGENT_SOCKET, FakeAgent(lie).answer):  # type: ignore[arg-type]
        lied = room.run(text)
    (room.guest.folder / AGENT_SOCKET).unlink()
    with serving(room.guest.folder / AGENT_SOCKET, FakeAgent().answer):
        honest = room.run(text)
    assert [step.ok for step in lied.steps] == [False]
    assert [step.ok for step in honest.steps] == [True]


def test_a_babbling_serial_line_is_only_a_failed_check(room: Room) -> None:
    with serving(room.guest.folder / SERIAL_SOCKET, tiny_line(lambda said: b"y" * (20 << 20))):
        report = room.run("def test_run(guest):\n    guest.run('true', timeout=5)\n")
    assert [step.ok for step in report.steps] == [False]
