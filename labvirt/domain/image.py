# SPDX-License-Identifier: MIT
"""Images, their immutable versions, and the overlays that take guests' writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath

from labvirt.domain.names import check_name
from labvirt.errors import InvalidInput

_SHA256 = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class Stage(StrEnum):
    DRAFT = "draft"
    TESTED = "tested"
    PUBLISHED = "published"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A named line of versions with one published pointer (None: nothing published yet)."""

    name: str
    published: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One file that is never written again. `file` is relative to the image store; `format` is always named, never probed."""

    image: str
    number: int
    file: PurePosixPath
    format: str
    size_bytes: int
    virtual_bytes: int
    sha256: str
    stage: Stage
    made_at: datetime
    parent: int | None = None
    note: str = ""

    def __post_init__(self) -> None:
        check_name(self.image, "image")
        if self.number < 1:
            raise InvalidInput("version", "must be 1 or more")
        if self.format not in ("qcow2", "raw"):
            raise InvalidInput("format", "must be qcow2 or raw")
        if self.file.is_absolute() or ".." in self.file.parts:
            raise InvalidInput("file", "must be a path inside the image store")
        if not _SHA256.match(self.sha256):
            raise InvalidInput("sha256", "must be 64 hexadecimal digits")

    @property
    def label(self) -> str:
        return f"{self.image} v{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskChoice:
    """Which version a guest's disk number `place` was started from: recorded once, at the start."""

    place: int
    image: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """The qcow2 file that takes one guest's writes to one disk. `file` is relative to the run's folder."""

    run: str
    place: int
    file: PurePosixPath
    base: DiskChoice
