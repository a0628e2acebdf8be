# SPDX-License-Identifier: MIT
"""Unix sockets by path of any length, who is at the other end, and sockets that were handed to this process.

The kernel's limit of 107 bytes (sockaddr_un, unix(7)) holds for what is given to bind and connect, not for where the
file lies: going through /proc/self/fd/N reaches any depth.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process at the other end when the connection (or, for a listener, the listening) began:

    SO_PEERCRED, unix(7).
    """

    pid: int
    uid: int
    gid: int


def connect_unix(path: Path, *, timeout: float | None = None) -> socket.socket:
    """A stream connected to `path`, which must be a socket itself: a link in its place, laid by whom it is shared
    with, is refused.

    Raises OSError (FileNotFoundError, ConnectionRefusedError: nobody listens), TimeoutError (a full queue).
    """
    place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(place).st_mode):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "this is no socket", str(path))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(f"/proc/self/fd/{place}")
        except BlockingIOError as error:  # EAGAIN: the listener's queue is full and we may not wait
            connection.close()
            raise TimeoutError(errno.ETIMEDOUT, "accepts no connection", str(path)) from error
        except BaseException:
            connection.close()
            raise
    finally:
        os.close(place)
    return connection


def listen_unix(path: Path, *, mode: int = 0o600, owner: int | None = None, backlog: int = 64) -> socket.socket:
    """A listener on `path` with this mode (and, as root, owner).

    A socket that lies there is replaced: the caller holds the lock, or has found by connecting, that nobody is behind
    it. Raises OSError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if path.is_socket():
            path.unlink()
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        if owner is not None:
            # PRIVILEGE: CAP_CHOWN. The file was made by bind one line above; a link in its place is not followed.
            os.chown(path.name, owner, owner, dir_fd=folder, follow_symlinks=False)
        os.chmod(path.name, mode, dir_fd=folder)
        listener.listen(backlog)  # from here one can get in, and not before the mode is right
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end of a Unix socket.

    Raises OSError. The pid is of our own namespace, 0 if it is outside of it.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return Peer(pid=pid, uid=uid & 0xFFFFFFFF, gid=gid & 0xFFFFFFFF)


def handed_sockets(environ: Mapping[str, str], pid: int) -> tuple[socket.socket, ...]:
    """The listening sockets this process was started with, by systemd or by our supervisor: LISTEN_FDS,
    sd_listen_fds(3).

    LISTEN_PID must be `pid` if it is given; who uses posix_spawn cannot know it. They are not inherited further.
    Raises ValueError for a variable that is no number, OSError for a descriptor that is not open.
    """
    if not environ.get("LISTEN_FDS") or int(environ.get("LISTEN_PID", pid)) != pid:
        return ()
    found = []
    for number in range(3, 3 + int(environ["LISTEN_FDS"])):
        os.set_inheritable(number, False)
        found.append(socket.socket(fileno=number))
    return tuple(found)
