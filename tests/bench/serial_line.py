# SPDX-License-Identifier: MIT
"""The judge of 'the guest answers', the same for every flow: the tiny guest's serial line (images/tiny/README.md)."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

BOOTED = b"LABVIRT GUEST BOOTED"
_PONG = re.compile(rb"^pong [0-9.]+", re.MULTILINE)
_ADDRESS = re.compile(rb"^LABVIRT GUEST READY name=\S+ address=\d|\"address\": ?\"\d", re.MULTILINE)
AGAIN_SECONDS = 2.0
"""We speak when the guest says that it has booted. Should that line be missed: again after this long, then twice as long and so on.
Words that come before it boots are echoed, slowly, or stay in QEMU's buffers until those are full."""

SOON_SECONDS = 0.2
"""A clone is asked again after this long, then twice as long and so on."""
LONGEST_SECONDS = 10.0
"""Not longer than that, or a guest that was ready long ago is heard minutes later, while it costs its share. Nor much shorter: to say its
facts costs an emulated guest a third of a second of a processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """On the clock time.monotonic(): when it answered `ping` with `pong`, and when it had its address by DHCP."""

    pong: float
    address: float


def listen(path: Path, *, timeout: float, booted: bool = False, address: bool = True) -> Answered:
    """Both have happened; without `address` only the first, and the second is 0. `booted`: it will not say so, for it began after that:
    it is spoken to at once. Raises TimeoutError that says what the guest said last."""
    deadline = time.monotonic() + timeout
    with _connect(path, deadline) as line:
        heard, pong, addressed, asked = b"", 0.0, 0.0, False
        pause = SOON_SECONDS if booted else AGAIN_SECONDS
        speak_at = time.monotonic() + (0.0 if booted else pause)
        while not (pong and (addressed or not address)):
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"{path.parent.name} does not answer; it said {heard[-200:]!r}")
            if now >= speak_at or (BOOTED in heard and not asked):
                asked = asked or BOOTED in heard
                line.settimeout(max(0.001, deadline - now))
                line.sendall(b"facts\n" if pong else b"ping\n")
                speak_at, pause = now + pause, min(LONGEST_SECONDS, pause * 2)
            line.settimeout(max(0.001, min(speak_at, deadline) - time.monotonic()))
            try:
                piece = line.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                raise TimeoutError(f"{path.parent.name} has closed its serial line; it said {heard[-200:]!r}")
            heard += piece.replace(b"\r", b"")
            now = time.monotonic()
            if not pong and _PONG.search(heard):
                pong = now
                if booted:
                    speak_at, pause = now, SOON_SECONDS
            if not addressed and _ADDRESS.search(heard):
                addressed = now
        return Answered(pong=pong, address=addressed)


def tell(path: Path, words: str, answer: str, *, timeout: float) -> None:
    """The guest was told these words and has answered with a line that begins so. Raises TimeoutError with what it said."""
    deadline, heard = time.monotonic() + timeout, b""
    with _connect(path, deadline) as line:
        line.sendall(words.encode("ascii") + b"\n")
        while not re.search(rb"^" + re.escape(answer.encode("ascii")) + rb".*\n", heard, re.MULTILINE):
            line.settimeout(max(0.001, deadline - time.monotonic()))
            piece = line.recv(65536)
            heard += piece.replace(b"\r", b"")
            if not piece:
                raise TimeoutError(f"{path.parent.name} has closed its serial line; it said {heard[-200:]!r}")


def _connect(path: Path, deadline: float) -> socket.socket:
    while True:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(path))
            return line
        except (FileNotFoundError, ConnectionRefusedError):
            line.close()
            if time.monotonic() > deadline:
                raise TimeoutError(f"there is no serial line at {path}") from None
            time.sleep(0.01)
