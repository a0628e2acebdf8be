# SPDX-License-Identifier: MIT
"""A guest's two channels without a guest: Unix sockets that answer as the tiny guest's serial line and as a QEMU guest agent do.

Commands are run by a real shell here. `lie` changes what is answered, for guests that are not honest.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Lie = Callable[[bytes], bytes]


def honest(answer: bytes) -> bytes:
    return answer


@contextlib.contextmanager
def serving(path: Path, answer: Callable[[bytes], bytes | None], *, greeting: bytes = b"") -> Iterator[list[bytes]]:
    """Each line that comes is given to `answer`; what it gives is sent back. The value lists the lines."""
    heard: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(4)
    open_ones: list[socket.socket] = []

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            connection.sendall(greeting)
            for line in lines:
                heard.append(line.rstrip(b"\n"))
                said = answer(line.rstrip(b"\n"))
                if said is not None:
                    connection.sendall(said)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        for each in (listener, *open_ones):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join(5)


def tiny_line(lie: Lie = honest) -> Callable[[bytes], bytes | None]:
    """As images/tiny/guest/sbin/serial-line answers."""

    def answer(line: bytes) -> bytes | None:
        if line == b"ping":
            return b"[  3.14] a word of the kernel\npong 12.34\n"
        if line.startswith(b"exec "):
            argv = ["sh", "-c", line[5:].decode()]
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=30)
            return lie(done.stdout + f"exit {done.returncode}\n".encode())
        return None if not line else b"unknown: say ping, facts, exec COMMAND, poweroff or reboot\n"

    return answer


class FakeAgent:
    """guest-sync-delimited, guest-get-osinfo, guest-exec, guest-exec-status."""

    def __init__(self, lie: Lie = honest) -> None:
        self._lie = lie
        self._ended: dict[int, subprocess.CompletedProcess[bytes]] = {}

    def answer(self, line: bytes) -> bytes | None:
        try:
            asked: dict[str, Any] = json.loads(line.lstrip(b"\xff"))
        except ValueError:
            return b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n'
        arguments = asked.get("arguments", {})
        match asked["execute"]:
            case "guest-sync-delimited":
                return b'{"return": "an older answer"}\n\xff' + _json(arguments["id"])
            case "guest-get-osinfo":
                return _json({"id": "debian"})
            case "guest-exec":
                done = subprocess.run([arguments["path"], *arguments["arg"]], capture_output=True, check=False, timeout=30)
                self._ended[len(self._ended) + 1] = done
                return _json({"pid": len(self._ended)})
            case "guest-exec-status":
                done = self._ended[arguments["pid"]]
                out, err = (base64.b64encode(each).decode() for each in (done.stdout, done.stderr))
                return self._lie(_json({"exited": True, "exitcode": done.returncode, "out-data": out, "err-data": err}))
        return b'{"error": {"class": "CommandNotFound", "desc": "unknown"}}\n'


def _json(value: object) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"
