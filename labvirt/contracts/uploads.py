# SPDX-License-Identifier: MIT
"""The door to files that are being sent to the controller, piece by piece: a folder per upload with what is known of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """`name` is the image it is meant for; `offset` is how much of `size_bytes` is there."""

    id: str
    name: str
    format: str
    size_bytes: int
    by: str
    made_at: datetime
    sha256: str = ""
    note: str = ""
    publish: bool = True
    offset: int = 0


class Writing(Protocol):
    """An upload that is being written by the one who has it."""

    def put(self, data: bytes) -> None:
        """The bytes are behind what was there. Raises InvalidInput (more than was announced: nothing of `data` is written), DiskError,
        Exhausted('disk')."""

    def sync(self) -> int:
        """What was put survives a power cut; returns the offset. Raises DiskError: then what was put since the last is cut off again."""


class Uploads(Protocol):
    def create(self, upload: Upload) -> Upload:
        """Known and empty, durable. Raises DiskError, Exhausted('disk')."""

    def get(self, id: str) -> Upload | None:
        """With its real offset. None also for an id of the wrong form."""

    def list(self) -> tuple[Upload, ...]:
        """The oldest first. A folder that cannot be understood is not among them; `leftovers` has it."""

    def leftovers(self) -> tuple[tuple[str, datetime], ...]:
        """(name, when it was last changed) of every entry of the folder, understood or not."""

    def write(self, id: str, offset: int) -> AbstractContextManager[Writing]:
        """Nobody else writes or removes it until the block ends or the process dies. What was written stays, also when the block ends by an
        error. Raises NotFound, Conflict (somebody else has it, or `offset` is not where it ends: the sentence says where), DiskError."""

    def path(self, id: str) -> Path:
        """Its data, for reading. Raises NotFound."""

    def remove(self, id: str) -> None:
        """Gone, whatever was in it; also an entry that is no upload. Absent is fine. Raises InUse while it is written, DiskError."""

    def free_bytes(self) -> int:
        """What may still be written where uploads lie; a reserve for the rest of the house is left out. Raises DiskError."""
