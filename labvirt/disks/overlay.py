# SPDX-License-Identifier: MIT
"""Makes one empty overlay file. Its bytes come from qcow2_header.py; no program is started."""

from __future__ import annotations

import os
from pathlib import Path

from labvirt.disks.qcow2_header import render_overlay
from labvirt.errors import DiskError


def create(path: Path, *, base: Path, base_format: str, virtual_bytes: int, uid: int | None, durable: bool = False) -> None:
    """`path` is a new qcow2 file (0600, of `uid`) over `base`. Not fsynced unless `durable`: after a power cut no run is left that
    would want it.

    Raises DiskError when the base's path is too long for a qcow2 header, OSError; then `path` may be there, half made.
    """
    name = os.fsencode(base.absolute())
    if len(name) > 1023:
        raise DiskError(
            f"The path {base.name} is longer than 1023 bytes.", operation="make the overlay", hint="Use a shorter state folder."
        )
    empty = render_overlay(virtual_bytes=virtual_bytes, backing_file=name, backing_format=base_format)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, empty.length_bytes)
        for offset, content in empty.pieces:
            if os.pwrite(descriptor, content, offset) != len(content):
                raise DiskError(f"{path.name} could not be written.", operation="make the overlay", subject=path.name)
        if uid is not None:
            # PRIVILEGE: CAP_CHOWN. The file was made by us above (O_EXCL, O_NOFOLLOW): nobody else's is given away.
            os.fchown(descriptor, uid, uid)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
