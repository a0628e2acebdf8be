# SPDX-License-Identifier: MIT
"""Proof that a process is a run. The run's folder is the key: only its own QEMU has it mounted as /run/guest.

A socket's peer credentials name a process that may have ended since, and its number may be another's by now; what a
process has mounted is the kernel's word, and neither a stranger nor a guest can make it up.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from labvirt.hypervisors.qemu import layout
from labvirt.system.process import ProcessIdentity, identify, is_alive, writers_of
from labvirt.system.sockets import peer_of


def prove(folder: Path, pid: int) -> ProcessIdentity | None:
    """The process with this pid if it is the QEMU of the run in `folder`, else None."""
    process = identify(pid)
    if process is None:
        return None
    try:
        own = os.stat(folder)
        seen = os.stat(f"/proc/{pid}/root{layout.GUEST}")
    except OSError:  # ended meanwhile, another user's, or it has no such folder: all mean that nothing is proven
        return None
    if (own.st_dev, own.st_ino) != (seen.st_dev, seen.st_ino):
        return None
    return process if is_alive(process) else None


def prove_peer(folder: Path, connection: socket.socket) -> ProcessIdentity | None:
    """The process at the other end of the run's QMP socket, proven to be the run's."""
    return prove(folder, peer_of(connection).pid)


def find(folder: Path) -> tuple[ProcessIdentity, ...]:
    """Every process that was started for the run in `folder`: QEMU, the emulator of its TPM, and bubblewrap which waits for them.

    They have the run's logs as their output. For starts that were interrupted; slow, because it looks at every process.
    """
    return (*writers_of(folder / layout.LOG), *writers_of(folder / layout.TPM_LOG))
