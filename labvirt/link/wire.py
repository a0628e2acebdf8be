# SPDX-License-Identifier: MIT
"""Lines over a stream socket, each with a deadline and a greatest length."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from labvirt.errors import InvalidInput
from labvirt.link.codec import MAX_LINE, decode, encode

CHUNK = 65536
MOST_DESCRIPTORS = 4
"""In one piece: one is sent. The kernel closes what is beyond."""


class Wire:
    """Not for several threads at once, except that one may read while one writes."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = bytearray()

    def send(self, message: dict[str, Any], seconds: float, descriptor: int | None = None) -> None:
        """The `descriptor` goes with it, as a copy. Raises InvalidInput when it is too long (nothing was sent), TimeoutError and OSError
        when the other does not take it."""
        line = memoryview(encode(message))
        deadline = time.monotonic() + seconds
        if descriptor is not None:
            self.connection.settimeout(seconds)
            line = line[socket.send_fds(self.connection, [line], [descriptor]) :]
        while line:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the other side does not read")
            self.connection.settimeout(left)
            line = line[self.connection.send(line) :]

    def receive(self, seconds: float | None, descriptors: list[int] | None = None) -> dict[str, Any] | None:
        """The next message; None at the end. Descriptors that come with it are added to the list and are its owner's, whatever is raised;
        without a list the kernel closes them. Raises InvalidInput for a line that is too long or no message, TimeoutError when it is not
        complete within `seconds` (however it trickles), OSError."""
        deadline = None if seconds is None else time.monotonic() + seconds
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched >= MAX_LINE:
                raise InvalidInput("message", f"is longer than {MAX_LINE} bytes")
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError("the other side is silent")
            self.connection.settimeout(left)
            chunk = self._chunk(descriptors)
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return decode(line)

    def _chunk(self, descriptors: list[int] | None) -> bytes:
        if descriptors is None:
            return self.connection.recv(CHUNK)
        chunk, came, _, _ = socket.recv_fds(self.connection, CHUNK, MOST_DESCRIPTORS)
        for each in came:  # Python 3.11 passes no flags on, so MSG_CMSG_CLOEXEC would be lost
            os.set_inheritable(each, False)
        descriptors += came
        return chunk

    def close(self) -> None:
        self.connection.close()
