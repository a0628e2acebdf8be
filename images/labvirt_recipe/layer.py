# SPDX-License-Identifier: MIT
"""Our own files, laid over Debian's."""

from __future__ import annotations

import shutil
from pathlib import Path

from labvirt_recipe.content import files_below


def lay_over(ours: Path, tree: Path) -> None:
    """Each file of `ours` is at its place in the tree. What begins with #! is a program."""
    for file in files_below(ours):
        place = tree / file.relative_to(ours)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        # Not the checkout's mode bits: a copy of the recipe may have lost them, and they are not in the key.
        place.chmod(0o755 if file.read_bytes().startswith(b"#!") else 0o644)
