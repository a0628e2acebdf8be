# SPDX-License-Identifier: MIT
"""Unix sockets by path of any length, who is at the other end, and sockets that were handed to this process.

The kernel's limit of 107 bytes (sockaddr_un, unix(7)) holds for what is given to bind and connect, not for where the
file lies: going through /proc/self/fd/N reaches any depth.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HANDED = "LABVIRT_LISTEN_FDS"
"""Our own form: the numbers themselves, separated by commas, because pass_fds keeps numbers and cannot start at 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process at the other end when the connection (or, for a listener, the listening) began:

    SO_PEERCRED, unix(7).
    """

    pid: int
    uid: int
    gid: int


def connect_unix(path: Path, *, timeout: float | None = None) -> socket.socket:
    """A stream connected to `path`.

    Raises OSError (FileNotFoundError, ConnectionRefusedError: nobody listens), TimeoutError.
    """
    with _short(path) as address:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(address)
        except BlockingIOError as error:  # a full backlog answers EAGAIN when there is a time limit of 0
            connection.close()
            raise TimeoutError(f"{path} accepts no connection") from error
        except BaseException:
            connection.close()
            raise
    return connection


def listen_unix(path: Path, *, mode: int = 0o600, backlog: int = 64) -> socket.socket:
    """A listener on `path` with this mode. A dead socket file in its place is replaced; the caller holds the lock
    that says that no living one is. Raises OSError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()
        with _short(path) as address:
            # The mode of the file is set before anybody can get in: without listen a connect is refused.
            listener.bind(address)
        path.chmod(mode)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end of a Unix socket.

    Raises OSError. The pid is of our own namespace, 0 if it is outside of it.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return Peer(pid=pid, uid=uid & 0xFFFFFFFF, gid=gid & 0xFFFFFFFF)


def handed_sockets(environ: Mapping[str, str], pid: int) -> tuple[socket.socket, ...]:
    """The listening sockets this process was started with: ours (HANDED), or those of systemd (LISTEN_FDS,
    sd_listen_fds(3)).

    They are not inherited further. Raises ValueError for a variable that is no number, OSError for a descriptor that
    is not open.
    """
    if environ.get(HANDED):
        numbers = [int(word) for word in environ[HANDED].split(",")]
    elif environ.get("LISTEN_FDS") and int(environ.get("LISTEN_PID", pid)) == pid:
        numbers = list(range(3, 3 + int(environ["LISTEN_FDS"])))
    else:
        numbers = []
    found = []
    for number in numbers:
        os.set_inheritable(number, False)
        found.append(socket.socket(fileno=number))
    return tuple(found)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The same place with a name of bounded length, valid inside the block."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
