# SPDX-License-Identifier: MIT
"""Images, their immutable versions, and the overlays that take guests' writes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath

from labvirt.domain.names import check_name
from labvirt.errors import ImageDamaged, InvalidInput

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
    previous: int | None = None
    """What was published before: where 'undo' goes (and from there back again)."""
    note: str = ""
    binned_at: datetime | None = None
    """In the recycle bin since then: nothing new starts from it, and it may be restored until garbage collection takes it."""

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
    """The version it was made from: its history."""
    note: str = ""
    author: str = ""
    """Who made it, by the name he is known by to the command line or the page."""
    backing: int | None = None
    """The version of the same image on whose file this file stands; None: the file is complete by itself. Never the same as history:
    flattening changes it, `parent` stays."""
    companions: tuple[str, ...] = ()
    """Names of the files beside the disk that belong to the version (uefi-vars.fd, tpm2.state): copied into each run."""
    binned_at: datetime | None = None

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


def version_words(image: str, number: int) -> dict[str, str]:
    """How every job's result names a version: `image`, `number`, and `version`, its label for people."""
    return {"image": image, "number": str(number), "version": f"{image} v{number}"}


def chain_of(version: Version, versions: Iterable[Version]) -> tuple[Version, ...]:
    """The version and those whose files its file stands on, the top one first: what QEMU must be given. Pure.

    Raises ImageDamaged when one of them is not among `versions` or the chain bites its tail.
    """
    known = {each.number: each for each in versions if each.image == version.image}
    chain = [version]
    while (below := chain[-1].backing) is not None:
        if below not in known or any(each.number == below for each in chain):
            raise ImageDamaged(
                f"{version.label} stands on {version.image} v{below}, which is not there.",
                operation="find the chain",
                subject=version.label,
                hint=f"Choose another version: labvirt version list {version.image}",
            )
        chain.append(known[below])
    return tuple(chain)


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
