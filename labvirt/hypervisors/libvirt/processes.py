# SPDX-License-Identifier: MIT
"""QEMU's pids for people's eyes: libvirt keeps them to itself, so they are found by the uuid in the command line.

Nothing is ever done to a process because of this: anybody may call his program anything.
"""

from __future__ import annotations

import os
from uuid import UUID


def find_pids() -> dict[UUID, int]:
    """uuid -> pid of every process of this host that looks like a guest of libvirt. Empty for those that hide."""
    found: dict[UUID, int] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read(4096).split(b"\0")
            if b"qemu" in words[0] and words[1].startswith(b"-name"):
                found[UUID(words[words.index(b"-uuid") + 1].decode("ascii"))] = int(name)
        except (OSError, ValueError, IndexError):  # it ended while we looked, or it is another kind of program
            continue
    return found
