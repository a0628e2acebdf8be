# SPDX-License-Identifier: MIT
"""Whether a file of the host can be a medium of a guest: looked at before the machine starts, where QEMU would only say 'Permission
denied'. Both real drivers ask here; what is mounted where is theirs."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def obstacle(path: Path, uid: int | None, *, walks: bool) -> str:
    """Why the user (and group) `uid`, None: this process, cannot read this file; empty when nothing is in the way.

    `walks`: that user opens it by its path, so every folder above must let him through. POSIX permission bits; what an access list
    grants beyond them is not counted.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return f"{path} is not an ordinary file"
        if uid is None:
            return "" if os.access(path, os.R_OK) else f"LabVirt's user may not read {path}"
        if not _may(found, uid, 0o4):
            return f"the guest's user {uid} may not read {path}"
        for folder in path.resolve(strict=True).parents if walks else ():
            if not _may(folder.stat(), uid, 0o1):
                return f"the guest's user {uid} may not go through {folder}"
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return ""


def _may(found: os.stat_result, uid: int, bit: int) -> bool:
    if found.st_uid == uid:
        return bool(found.st_mode >> 6 & bit)
    return bool((found.st_mode >> 3 if found.st_gid == uid else found.st_mode) & bit)
