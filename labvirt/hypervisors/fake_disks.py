# SPDX-License-Identifier: MIT
"""What pretended machines write: really, into the overlays that the disks' room made for them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from labvirt.errors import HypervisorError
from labvirt.hypervisors.fake_memory import Run
from labvirt.system.process import run as run_program

_QCOW2 = b"QFI\xfb"
"""Magic of docs/interop/qcow2.txt."""


def is_beyond(known: Run) -> bool:
    """Has an overlay of this run grown beyond its cap?"""
    limit = known.cap_bytes
    return limit is not None and any(os.path.exists(path) and os.stat(path).st_size > limit for path in known.overlays)


def write_into(path: Path, count: int, *, at: int, pattern: int) -> None:
    """The disk whose top is `path` holds `count` bytes of `pattern` from offset `at`. Raises HypervisorError."""
    with path.open("r+b") as file:
        if file.read(4) != _QCOW2:
            file.truncate(path.stat().st_size + count)
            return
    # Without what lies below: nothing of it is needed for whole clusters, and its name in the header is not believed.
    top = {"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": str(path)}}
    answer = run_program(("qemu-io", "-c", f"write -P {pattern} {at} {count}", f"json:{json.dumps(top)}"), timeout=120)
    if not answer.ok or b"wrote" not in answer.stdout:
        raise HypervisorError(f"The pretended guest could not write: {answer.last_words}.", operation="write", subject=path.name)
