# SPDX-License-Identifier: MIT
"""Bytes from a guest that may be hostile: read up to a mark, within a deadline, never more than a bound."""

from __future__ import annotations

import socket
import time
from collections import deque

TAIL_BYTES = 64 << 10


class Silent(Exception):
    """Nobody answers there, or not in time, or more than anybody should say."""


class Line:
    """A connected stream socket. What came is remembered for `tail`."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()
        self._heard: deque[bytes] = deque()
        self._heard_bytes = 0

    def send(self, data: bytes, deadline: float) -> None:
        """Raises Silent."""
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._socket.sendall(data)
        except OSError as error:
            raise Silent(f"it takes no input: {error}") from error

    def until(self, mark: bytes, deadline: float, *, most: int) -> bytes:
        """What comes before `mark`, which is taken away too. Raises Silent, also beyond `most` bytes."""
        searched = 0
        while True:
            found = self._buffer.find(mark, max(0, searched - len(mark)))
            if found >= 0:
                piece = bytes(self._buffer[:found])
                del self._buffer[: found + len(mark)]
                return piece
            searched = len(self._buffer)
            if searched > most:
                self._buffer.clear()
                raise Silent(f"it says more than {most} bytes at once")
            self._more(deadline)

    def drop(self) -> None:
        """What has come already is of no interest."""
        self._buffer.clear()
        for _ in range(1024):
            if not self._take(0.0):
                break
            self._buffer.clear()

    def listen(self, seconds: float) -> bool:
        """Has anything new come within `seconds`? It stays to be read."""
        return self._take(seconds)

    def tail(self) -> bytes:
        """The last that was heard, at most 64 KiB."""
        return b"".join(self._heard)[-TAIL_BYTES:]

    def _more(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not self._take(left):
            raise Silent("it does not answer in time")

    def _take(self, seconds: float) -> bool:
        try:
            self._socket.settimeout(seconds)  # 0: what is there, without waiting
            data = self._socket.recv(65536)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError as error:
            raise Silent(f"the connection broke: {error}") from error
        if not data:
            raise Silent("it has hung up")
        self._buffer += data
        self._heard.append(data)
        self._heard_bytes += len(data)
        while self._heard_bytes - len(self._heard[0]) > TAIL_BYTES:
            self._heard_bytes -= len(self._heard.popleft())
        return True
