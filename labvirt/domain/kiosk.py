# SPDX-License-Identifier: MIT
"""The kiosk as a value: what a terminal is started with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labvirt.errors import InvalidInput

NEEDED = ("vmlinuz", "initrd.img", "kiosk.squashfs", "core.0", "shimx64.efi", "grubx64.efi")
"""Every boot folder has these, and manifest.json."""

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFile:
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kiosk:
    """What a boot folder holds. `version` names its content: equal versions are equal files."""

    version: str
    kernel: str
    built_at: str
    files: tuple[BootFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def kiosk_of(told: object) -> Kiosk:
    """From a manifest.json. Raises InvalidInput for what is none, lacks a file, or names one that is not a plain name."""
    if not isinstance(told, Mapping) or not isinstance(told.get("files"), Mapping):
        raise InvalidInput("manifest.json", "is not that of a kiosk")
    files = [_file(name, about) for name, about in sorted(told["files"].items())]
    missing = [name for name in NEEDED if name not in told["files"]]
    if missing:
        raise InvalidInput("manifest.json", f"names no {', '.join(missing)}")
    return Kiosk(
        version=_word(told.get("version")),
        kernel=str(told.get("kernel", ""))[:64],
        built_at=str(told.get("built_at", ""))[:64],
        files=tuple(files),
    )


def _word(value: object) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise InvalidInput("manifest.json", "has a name that is not one plain word")
    return value


def _file(name: object, about: Any) -> BootFile:
    size = about.get("size") if isinstance(about, Mapping) else None
    sha256 = about.get("sha256") if isinstance(about, Mapping) else None
    if not isinstance(size, int) or size < 0 or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise InvalidInput("manifest.json", "does not give size and checksum of each file")
    return BootFile(name=_word(name), size_bytes=size, sha256=sha256)
