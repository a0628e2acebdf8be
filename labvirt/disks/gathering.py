# SPDX-License-Identifier: MIT
"""The small files beside a disk become part of a version: copied, durable, read-only, with their checksums. Between drafts and runs
they are copied in companions.py.
"""

from __future__ import annotations

import os
from pathlib import Path

from labvirt.disks.copying import copy
from labvirt.disks.digest import sha256_of
from labvirt.disks.inspection import open_regular
from labvirt.disks.places import COMPANIONS
from labvirt.errors import ImageDamaged

_LARGEST = 64 << 20
"""Bytes. UEFI variables have 4 MiB at most here, a TPM's state has some KiB."""


def gather(source: Path, made: Path) -> dict[str, str]:
    """The companions of `source` are in `made`, durable and read-only; returns name -> sha256. Anything else there is left alone.

    Raises ImageDamaged for one that is no small file, DiskError, Exhausted('disk'), OSError.
    """
    found = {}
    for name in COMPANIONS:
        if os.path.lexists(source / name):
            descriptor = open_regular(source / name, "companion")
            try:
                if os.fstat(descriptor).st_size > _LARGEST:
                    raise ImageDamaged(
                        f"{source / name} is larger than {_LARGEST >> 20} MiB.", operation="copy", subject=name, hint="Look what it is."
                    )
                copy(descriptor, made / name, name=name)
            finally:
                os.close(descriptor)
            found[name] = _settle(made / name)
    return found


def digests(source: Path) -> dict[str, str]:
    """Name -> sha256 of the companions that lie there. Raises DiskError, InvalidInput, OSError."""
    found = {}
    for name in COMPANIONS:
        if os.path.lexists(source / name):
            descriptor = open_regular(source / name, "companion")
            try:
                found[name] = sha256_of(descriptor)
            finally:
                os.close(descriptor)
    return found


def _settle(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        digest = sha256_of(descriptor)
        os.fsync(descriptor)  # an error here is final: a second fsync would lie
        os.fchmod(descriptor, 0o444)
        return digest
    finally:
        os.close(descriptor)
