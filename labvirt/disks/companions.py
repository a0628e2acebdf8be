# SPDX-License-Identifier: MIT
"""The small files beside a disk (the firmware's variables, the TPM's state) on their way between versions, drafts, runs and kept folders.

A guest's QEMU may have written them: only ordinary, small files are taken.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from labvirt.disks.places import COMPANIONS
from labvirt.errors import DiskError
from labvirt.system.files import open_regular, write_atomic

_LARGEST = 64 << 20
"""Bytes. UEFI variables have 4 MiB at most here, a TPM's state has some KiB."""


def names_in(folder: Path) -> tuple[str, ...]:
    """Which companions lie there; what is no small ordinary file is none. Raises OSError."""
    found = []
    for name in COMPANIONS:
        try:
            status = os.lstat(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST:
            found.append(name)
    return tuple(found)


def copy(names: Sequence[str], source: Path, folder: Path, *, subject: str, owner: int | None = None) -> None:
    """These companions of `source` are in `folder` too (0600, of `owner`), durable; older ones are replaced.

    Raises DiskError (names `subject`) for one that is missing or no small ordinary file, OSError.
    """
    for name in names:
        try:
            with open_regular(source / name) as file:
                data = file.read(_LARGEST + 1)
        except OSError as error:
            raise DiskError(f"{name} of {subject} cannot be read: {error.strerror}.", operation="copy", subject=subject) from error
        if len(data) > _LARGEST:
            raise DiskError(f"{name} of {subject} is larger than {_LARGEST >> 20} MiB.", operation="copy", subject=subject)
        write_atomic(folder / name, data, owner=owner)
