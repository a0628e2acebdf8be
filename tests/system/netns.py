# SPDX-License-Identifier: MIT
"""Network namespaces of the system tests: made, entered by one thread, cleared away with every process in them.

A name carries its owner (pid and start time), so what a killed run has left is found and removed by the next one.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PREFIX = "lvs"
_NAME = re.compile(PREFIX + r"(\d+)x(\d+)[a-z0-9]*\Z")
_CLONE_NEWNET = 0x40000000
"""linux/sched.h"""
_FOLDER = Path("/run/netns")
END_SECONDS = 15.0

T = TypeVar("T")


def command(*words: str, seconds: float = 20.0) -> str:
    """What a program printed. Raises CalledProcessError."""
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=seconds).stdout


def start_ticks(pid: int) -> int | None:
    """When the process was started, in clock ticks since boot (proc(5), stat field 22); None when there is none or only its shell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def own_prefix() -> str:
    return f"{PREFIX}{os.getpid()}x{start_ticks(os.getpid())}"


def make(name: str) -> None:
    command("ip", "netns", "add", name)
    command("ip", "-n", name, "link", "set", "lo", "up")


def names() -> list[str]:
    """Those of this kind, anybody's."""
    return sorted(entry.name for entry in _FOLDER.iterdir() if _NAME.match(entry.name)) if _FOLDER.is_dir() else []


def has_link(name: str, link: str) -> bool:
    """This interface is in the namespace."""
    shown = subprocess.run(("ip", "-n", name, "link", "show", "dev", link), check=False, capture_output=True, timeout=20)
    return shown.returncode == 0


def pids(name: str) -> list[int]:
    if not (_FOLDER / name).exists():
        return []
    return [int(word) for word in command("ip", "netns", "pids", name).split()]


def remove(wanted: list[str]) -> None:
    """Every process in these namespaces is gone, then they are. Nothing outside them is ever signalled."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        found = [pid for name in wanted for pid in pids(name) if pid != os.getpid() and start_ticks(pid) is not None]
        if not found:
            break
        for pid in found:
            _kill(pid)
        time.sleep(0.05)
    for name in wanted:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True, timeout=20)


def remove_leftovers() -> None:
    """Those whose owner is gone."""
    dead = []
    for name in names():
        match = _NAME.match(name)
        if match and start_ticks(int(match[1])) != int(match[2]):
            dead.append(name)
    remove(dead)


def inside(name: str, deed: Callable[[], T]) -> T:
    """The deed's result, done by a thread that is in this namespace. Sockets that it makes stay there."""
    outcome: list[T] = []
    trouble: list[BaseException] = []

    def work() -> None:
        try:
            with (_FOLDER / name).open() as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            outcome.append(deed())
        except BaseException as error:  # noqa: BLE001 - it is raised again by whoever waits
            trouble.append(error)

    thread = threading.Thread(target=work, name=f"in-{name}")
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
    return outcome[0]


def connect(name: str, address: str, port: int, seconds: float = 5.0) -> socket.socket:
    """A TCP connection out of this namespace. Raises OSError."""
    return inside(name, lambda: socket.create_connection((address, port), timeout=seconds))


def _kill(pid: int) -> None:
    """SIGKILL through a pidfd, so that no newcomer with the same number is hit."""
    before = start_ticks(pid)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if before is not None and start_ticks(pid) == before:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)
