# SPDX-License-Identifier: MIT
"""The channel to a guest's agent: one conversation at a time over the socket in the run's folder, on the caller's own thread.

Nothing else waits for it: it has a deadline as a whole, and a bound for what is heard as a whole.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
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


class AgentChannel:
    """The channel of the run in `folder`. From any thread.

    It is `held`: somebody is connected also while nothing is said. A guest's agent on a virtio port that nobody holds looks for somebody
    ten times a second (qga/main.c, channel_event_cb), which under emulation is two thirds of what an idle tiny guest costs.
    Not held, it is there for others between two conversations.
    """

    def __init__(self, folder: Path, guest: str, *, held: bool = True) -> None:
        self._socket = folder / layout.AGENT_SOCKET
        self._guest = guest
        self._held = held
        self._talking = threading.Lock()
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._gone = False

    def hold(self) -> None:
        """It is held, unless it is in use, not to be held, or nobody is there. Never waits."""
        with self._lock:
            if not self._held or self._gone or self._connection is not None or self._talking.locked():
                return
            with contextlib.suppress(OSError):
                self._connection = connect_unix(self._socket, timeout=0)

    def let_go(self) -> None:
        """It is not held, and will not be. A conversation that is going on goes on."""
        with self._lock:
            self._gone = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def conversation(self, seconds: float) -> Iterator[Ask]:
        """Somebody who answers as an agent does, for so many seconds; others wait meanwhile. Raises AgentSilent, also inside the block."""
        deadline = time.monotonic() + seconds
        if not self._talking.acquire(timeout=seconds):
            raise AgentSilent(self._guest, "others are talking to it")
        try:
            with self._connected(min(SYNC_SECONDS, seconds)) as connection:
                line = _Line(connection, self._guest, deadline)
                line.sync()
                yield line.ask
        finally:
            self._talking.release()
            self.hold()  # anew: what is still on its way is not heard by who talks next

    def _connected(self, seconds: float) -> socket.socket:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None and not _is_closed(connection):
            return connection
        try:
            return connect_unix(self._socket, timeout=seconds)
        except OSError as error:
            raise AgentSilent(self._guest, "nobody can be reached on its channel") from error


def _is_closed(connection: socket.socket) -> bool:
    """QEMU has closed it meanwhile; then we have, too."""
    try:
        ended = not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        ended = True
    if ended:
        connection.close()
    return ended


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
