# SPDX-License-Identifier: MIT
"""What garbage collection looks at: one thing that nobody needs any more, when it goes, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RubbishKind(StrEnum):
    IMAGE = "image"
    """In the recycle bin, with all its versions."""
    VERSION = "version"
    DRAFT = "draft"
    """Published or discarded."""
    VERSION_FILE = "version-file"
    """A version folder that no row knows: an interrupted work, or the one that flattening replaced."""
    DRAFT_FILE = "draft-file"
    KEPT = "kept"
    UPLOAD = "upload"
    CANARY = "canary"
    """The picture of a version that is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubbish:
    """`name` is what the kind calls it (an image's name, a version's label, a file in the store, a run). `since`: in the bin, or first seen
    without an owner. `waits_for`: why it stays although its time has come; empty when nothing keeps it."""

    kind: RubbishKind
    name: str
    since: datetime
    goes_at: datetime
    used_bytes: int = 0
    waits_for: str = ""

    def is_due(self, now: datetime) -> bool:
        return not self.waits_for and self.goes_at <= now
