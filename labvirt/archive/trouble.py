# SPDX-License-Identifier: MIT
"""The one place of this room where an OSError becomes a LabVirtError."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.errors import DiskError, Exhausted


@contextmanager
def translated(operation: str, path: Path) -> Iterator[None]:
    """`operation` reads after 'Cannot': 'write the backup'."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Exhausted("disk", f"There is no space left for {path}.", hint="Make room, or choose another disk.") from error
        why = error.strerror or str(error)
        raise DiskError(
            f"Cannot {operation} {path}: {why}.", operation=operation, subject=str(path), hint="Choose another place."
        ) from error
