# SPDX-License-Identifier: MIT
"""Whether a viewer holds a TCP connection to its guest, seen from the kernel's tables: no viewer says so itself.

It matters because remote-viewer answers a refused or broken connection with a dialog, also with --kiosk, and waits
for a click: without this look the seat would show "unable to connect" until somebody comes.
"""

from __future__ import annotations

import os
from pathlib import Path

_ESTABLISHED = "01"  # include/net/tcp_states.h


def is_connected(session: int, port: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process of `session` (the viewer's pid) is connected to `port`. True also if it cannot be seen."""
    try:
        return any(_sockets(pid) & _connections(pid, port) for pid in _members(session, proc))
    except PermissionError:  # a viewer of another user, by a wrapper: what we cannot judge, we leave alone
        return True


def _members(session: int, proc: Path) -> list[Path]:
    members = []
    for process in proc.glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        if int(fields[3]) == session:  # proc(5): field 6 of the whole line
            members.append(process)
    return members


def _sockets(process: Path) -> set[str]:
    """The inodes of the sockets that the process holds."""
    found = set()
    try:
        for descriptor in (process / "fd").iterdir():
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except (FileNotFoundError, ProcessLookupError):
        pass  # a descriptor or the process went away: what was found counts
    return found


def _connections(process: Path, port: int) -> set[str]:
    """The inodes of all established TCP connections to `port` in the process's network namespace."""
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (process / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):
            continue  # no IPv6, or the process has ended
        for fields in map(str.split, lines):
            if fields[3] == _ESTABLISHED and int(fields[2].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
