# SPDX-License-Identifier: MIT
"""The door to the boot folders of a site: what terminals start with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from labvirt.domain.kiosk import BootFile, Kiosk


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFolder:
    """`path` is that of the version and not of `current`: it keeps meaning the same files."""

    path: Path
    kiosk: Kiosk


class BootFolders(Protocol):
    def current(self) -> BootFolder | None:
        """What terminals that start now get; None when nothing was built yet. Cheap. Raises DiskError when it is not whole."""

    def open(self, name: str) -> AbstractContextManager[tuple[BootFile, BinaryIO]]:
        """A file of the current one: what the manifest says of it, and its bytes, which stay the same while it is open, whatever is built
        meanwhile. Raises NotFound for a name that the manifest does not have, DiskError."""
