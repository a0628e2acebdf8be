# SPDX-License-Identifier: MIT
"""Golden files: text that a renderer must make, looked at by people when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REGENERATE = "LABVIRT_REGENERATE"
"""Set to 1, the golden files are written anew; look at the difference before you keep it."""


@pytest.fixture
def golden() -> Callable[[Path, str], None]:
    def compare(file: Path, text: str) -> None:
        if os.environ.get(REGENERATE) == "1":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert text == file.read_text(), f"{file} differs; if the new text is right: {REGENERATE}=1"

    return compare
