# SPDX-License-Identifier: MIT
"""The checks' two ways into a guest, tried with a real one: its agent and its serial line, under plain QEMU."""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import AGENT_SOCKET, SERIAL_SOCKET
from tests.checks.conftest import Room

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
RECIPE = Path(__file__).parents[2] / "images" / "tiny" / "build.py"
BOOT_SECONDS = 120

CHECK = """
def test_command(guest):
    done = guest.run("echo hello; exit 7")
    assert (done.code, done.out) == (7, "hello\\n")
def test_several(guest):
    for number in range(5):
        assert guest.run(f"echo {number}").out == f"{number}\\n"
def test_much(guest):
    assert len(guest.run("seq 1 5000", timeout=60).out.split()) == 5000
def test_disk(guest):
    assert guest.run("ls /dev/vda").ok
    assert not guest.run("ls /no/such").ok
"""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@pytest.fixture
def booted(room: Room, tmp_path: Path) -> Iterator[Path]:
    """A tiny guest whose channels lie in the run's folder; the value is that folder."""
    built = subprocess.run(["/usr/bin/python3", "-I", str(RECIPE), "--json"], check=True, capture_output=True, timeout=200)
    image = json.loads(built.stdout)["path"]
    overlay = tmp_path / "overlay.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", str(overlay)], check=True)
    folder = room.guest.folder
    argv = ["qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-machine", "q35", "-m", "256", "-vga", "std", "-display", "none"]
    argv += [
        "-drive",
        f"if=virtio,format=qcow2,file={overlay}",
        "-netdev",
        "user,id=net,restrict=on",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]
    argv += ["-chardev", f"socket,id=serial,path={folder / SERIAL_SOCKET},server=on,wait=off", "-serial", "chardev:serial"]
    argv += ["-chardev", f"socket,id=agent,path={folder / AGENT_SOCKET},server=on,wait=off", "-device", "virtio-serial-pci"]
    argv += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    try:
        with room.trials.overhear(lambda: folder) as said:
            for _ in range(BOOT_SECONDS * 10):
                if "LABVIRT GUEST READY" in said():
                    break
                assert process.poll() is None
                threading.Event().wait(0.1)
            assert "LABVIRT GUEST READY" in said()
        yield folder
    finally:
        process.kill()
        process.wait()


def test_over_the_serial_line(room: Room, booted: Path) -> None:
    (booted / AGENT_SOCKET).unlink()
    report = room.run(CHECK, seconds=120)
    assert [step.said for step in report.steps if not step.ok] == [], report.log
    assert len(report.steps) == 4


def test_through_the_agent(room: Room, booted: Path) -> None:
    (booted / SERIAL_SOCKET).unlink()
    assert _agent_answers(booted), "the tiny guest's agent (images/tiny) does not answer"
    report = room.run(CHECK, seconds=120)
    assert [step.said for step in report.steps if not step.ok] == [], report.log
    assert len(report.steps) == 4


def _agent_answers(folder: Path) -> bool:
    for _ in range(30):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(folder / AGENT_SOCKET))
            line.settimeout(1)
            line.sendall(b'{"execute": "guest-ping"}\n')
            try:
                if b"return" in line.recv(4096):
                    return True
            except TimeoutError:
                continue
    return False
