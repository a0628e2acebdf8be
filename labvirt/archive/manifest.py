# SPDX-License-Identifier: MIT
"""The first member of a backup: what it is, and name, size and checksum of all others. Nothing that is not in it is ever unpacked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from labvirt.contracts.archive import BackupFacts, ImageFile
from labvirt.errors import InvalidInput

NAME = "manifest.json"
LARGEST = 64 << 20
FORMAT, VERSION = "labvirt-backup", 1
_SHA256 = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_PART = r"[A-Za-z0-9_@+=,-][A-Za-z0-9_@+=,.-]{0,98}"
_PATH = re.compile(rf"(?:labvirt\.db|labvirt\.toml|(?:secrets|homes|checks|networks|images)(?:/{_PART}){{1,5}})\Z", re.ASCII)
"""No part begins with a dot: there is no way out of the folder, and nothing hidden in it."""


@dataclass(frozen=True, slots=True)
class Member:
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    facts: BackupFacts
    members: Mapping[str, Member]
    """In the order in which they follow."""


def is_path(path: str) -> bool:
    """May a member be called like this?"""
    return len(path) <= 250 and _PATH.match(path) is not None


def render(manifest: Manifest) -> bytes:
    facts = manifest.facts
    told = {
        "format": FORMAT,
        "version": VERSION,
        "labvirt": facts.labvirt,
        "made_at": facts.made_at.isoformat(),
        "made_by": facts.made_by,
        "drafts": list(facts.drafts),
        "images": [
            {
                "image": each.image,
                "number": each.number,
                "file": str(each.file),
                "size_bytes": each.size_bytes,
                "sha256": each.sha256,
                "included": each.included,
            }
            for each in facts.images
        ],
        "members": [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in manifest.members.values()],
    }
    return json.dumps(told, indent=1, ensure_ascii=True).encode("ascii") + b"\n"


def parse(text: bytes) -> Manifest:
    """Raises InvalidInput for anything that `render` did not make."""
    try:
        told = json.loads(text)
        if told["format"] != FORMAT or type(told["version"]) is not int:
            raise ValueError("format")
        if told["version"] > VERSION:
            raise InvalidInput(
                "file", f"was made by a newer LabVirt ({_line(told['labvirt'])})", hint="Restore it with that one, or with a later one."
            )
        members = [_member(each) for each in told["members"]]
        facts = BackupFacts(
            made_at=datetime.fromisoformat(told["made_at"]),
            made_by=_line(told["made_by"]),
            labvirt=_line(told["labvirt"]),
            images=tuple(_image(each) for each in told["images"]),
            drafts=tuple(_line(each) for each in told["drafts"]),
        )
        if facts.made_at.tzinfo is None:
            raise ValueError("made_at")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInput("file", "is not a backup of LabVirt, or is damaged: its manifest is none") from error
    by_path = {each.path: each for each in members}
    if len(by_path) != len(members) or "labvirt.db" not in by_path:
        raise InvalidInput("file", "is not a backup of LabVirt, or is damaged: its manifest names a file twice, or no database")
    return Manifest(facts=facts, members=by_path)


def _member(told: Any) -> Member:
    path, size, sha256 = told["path"], told["size"], told["sha256"]
    if type(path) is not str or not is_path(path):
        raise ValueError("path")
    return Member(path=path, size=_whole(size), sha256=_digest(sha256))


def _image(told: Any) -> ImageFile:
    if type(told["included"]) is not bool:
        raise ValueError("included")
    return ImageFile(
        image=_line(told["image"]),
        number=_whole(told["number"]),
        file=PurePosixPath(_line(told["file"])),
        size_bytes=_whole(told["size_bytes"]),
        sha256=_digest(told["sha256"]),
        included=told["included"],
    )


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError("a number")
    return value


def _digest(value: Any) -> str:
    if type(value) is not str or not _SHA256.match(value):
        raise ValueError("a checksum")
    return value


def _line(value: Any) -> str:
    if type(value) is not str or len(value) > 300 or not value.isprintable():
        raise ValueError("a text")
    return value
