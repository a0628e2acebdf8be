# SPDX-License-Identifier: MIT
"""The guest's RAM as a file of ours, as QEMU's arguments: libvirt's own element (memoryBacking) knows one folder for the whole host, and
no descriptor. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BACKEND = "lv-memory"
"""Its name goes into the device state: RAM blocks are known by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFile:
    """The file as QEMU sees it. A template in the making writes it; a clone maps it, keeps what it writes for itself, and waits for its
    device state."""

    path: Path
    clone: bool


def arguments(memory: MemoryFile, memory_mib: int) -> Iterator[str]:
    """Of two memory-backends QEMU takes the last; libvirt's own is then never touched, and takes no room."""
    # Not readonly=on: before QEMU 8.2 the guest could then not write either. The file itself is sealed (system/sealed_memory.py).
    share = "off" if memory.clone else "on"
    path = str(memory.path).replace(",", ",,")
    yield from ("-object", f"memory-backend-file,id={BACKEND},size={memory_mib}M,mem-path={path},share={share}")
    yield from ("-machine", f"memory-backend={BACKEND}")
    if memory.clone:
        yield from ("-incoming", "defer")
