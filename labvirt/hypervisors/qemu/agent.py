# SPDX-License-Identifier: MIT
"""The channel to a guest's agent: one conversation at a time over the socket in the run's folder, on the caller's own thread.

Nothing else waits for it: it has a deadline as a whole, and a bound for what is heard as a whole.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labvirt.errors import AgentSilent
from labvirt.hypervisors.guest_agent import ANSWER_BYTES, Ask, Refused, answer_of
from labvirt.hypervisors.qemu import layout
from labvirt.system.sockets import connect_unix

SYNC_SECONDS = 2.0
"""An agent that runs answers this at once."""
HEARD_BYTES = 4 * ANSWER_BYTES
"""So much is listened to in one conversation, left-overs of older ones included."""


@contextmanager
def conversation(folder: Path, guest: str, seconds: float) -> Iterator[Ask]:
    """Somebody who answers as an agent does, for so many seconds. Raises AgentSilent, also inside the block."""
    deadline = time.monotonic() + seconds
    try:
        connection = connect_unix(folder / layout.AGENT_SOCKET, timeout=min(SYNC_SECONDS, seconds))
    except OSError as error:
        raise AgentSilent(guest, "nobody can be reached on its channel") from error
    with connection:
        line = _Line(connection, guest, deadline)
        line.sync()
        yield line.ask


class _Line:
    def __init__(self, connection: socket.socket, guest: str, deadline: float) -> None:
        self._connection = connection
        self._guest = guest
        self._deadline = deadline
        self._buffer = bytearray()
        self._heard = 0

    def sync(self) -> None:
        """What was said to others before is passed over: the agent puts 0xFF before this answer (guest-sync-delimited)."""
        number = secrets.randbelow(1 << 31)
        deadline = min(self._deadline, time.monotonic() + SYNC_SECONDS)
        request = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        # A stray 0xFF ends whatever half a request somebody has left in the agent's parser.
        self._send(b"\xff" + json.dumps(request).encode() + b"\n", deadline)
        while True:
            self._until(b"\xff", deadline)
            try:
                if answer_of(self._until(b"\n", deadline), self._guest) == number:
                    return
            except Refused:
                continue  # what it thinks of the half request

    def ask(self, verb: str, arguments: Mapping[str, object]) -> object:
        self._send(json.dumps({"execute": verb, "arguments": arguments}).encode() + b"\n", self._deadline)
        return answer_of(self._until(b"\n", self._deadline), self._guest)

    def _send(self, data: bytes, deadline: float) -> None:
        try:
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            self._connection.sendall(data)
        except OSError:
            raise AgentSilent(self._guest, "it takes nothing on its channel") from None

    def _until(self, mark: bytes, deadline: float) -> bytes:
        """What comes before the mark, which is taken away too."""
        searched = 0
        while (found := self._buffer.find(mark, searched)) < 0:
            searched = len(self._buffer)
            left = deadline - time.monotonic()
            if left <= 0:
                raise AgentSilent(self._guest)
            self._connection.settimeout(left)
            try:
                data = self._connection.recv(ANSWER_BYTES)
            except TimeoutError:
                raise AgentSilent(self._guest) from None
            except OSError as error:
                raise AgentSilent(self._guest, "its channel broke") from error
            if not data:
                raise AgentSilent(self._guest, "its channel was closed")
            self._heard += len(data)
            if self._heard > HEARD_BYTES:
                raise AgentSilent(self._guest, "it says more than any agent would")
            self._buffer += data
        piece = bytes(self._buffer[:found])
        del self._buffer[: found + len(mark)]
        return piece
