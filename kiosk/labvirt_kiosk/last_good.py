# SPDX-License-Identifier: MIT
"""The last good answer on disk, for the day the controller does not answer. It holds no secret."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from labvirt_kiosk.answer import VERSION, Answer, from_fields
from labvirt_kiosk.trouble import BadAnswer

_LARGEST_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class LastGood:
    """A ready answer, with the text of the file its arguments ask for (`""`: none)."""

    answer: Answer
    file_text: str = ""


class LastGoodStore:
    """Keeps one LastGood in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "last-good.json"

    def save(self, good: LastGood) -> None:
        """The answer is on disk, even after a power cut; after OSError the one before still is."""
        fields = {**asdict(good.answer), "version": VERSION, "secret": "ticket" if good.answer.needs_ticket else "none"}
        text = json.dumps({"answer": fields, "file_text": good.file_text}, ensure_ascii=False, indent=1)
        new = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def load(self) -> LastGood | None:
        """The kept answer; None if there is none or it cannot be read (it is then simply asked for again)."""
        try:
            with self._path.open(encoding="utf-8") as file:
                kept = json.loads(file.read(_LARGEST_BYTES))
            good = LastGood(answer=from_fields(kept["answer"]), file_text=str(kept["file_text"]))
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError, BadAnswer):
            return None
        return good if good.answer.ready else None
