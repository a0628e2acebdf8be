# SPDX-License-Identifier: MIT
"""What the person chose at this terminal: language and keyboard. Kept in the kiosk's folder; nothing depends on it."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from labvirt_kiosk.catalogue import LANGUAGES
from labvirt_kiosk.keyboard import LAYOUTS

_LARGEST_BYTES = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """`""`: not chosen."""

    language: str = ""
    keyboard: str = ""


class ChoiceStore:
    """Keeps Choices in `folder`. A folder that cannot be written forgets them at the next start."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "choices.json"

    def load(self) -> Choices:
        """What is kept, as far as it is on the lists."""
        try:
            with self._path.open(encoding="utf-8") as file:
                kept = json.loads(file.read(_LARGEST_BYTES))
            language, keyboard = kept.get("language"), kept.get("keyboard")
        except (OSError, ValueError, RecursionError, AttributeError):
            return Choices()
        return Choices(
            language=language if isinstance(language, str) and language in LANGUAGES else "",
            keyboard=keyboard if isinstance(keyboard, str) and keyboard in LAYOUTS else "",
        )

    def change(self, **chosen: str) -> None:
        """The given fields are kept, the others stay."""
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}.new")
        try:
            new.write_text(json.dumps(asdict(replace(self.load(), **chosen))), encoding="utf-8")
            new.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
