# SPDX-License-Identifier: MIT
"""The content key: what names an image by all that goes into it, so that nothing is built twice and nothing old is taken for new."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

SHARED = Path(__file__).resolve().parent
FORK = SHARED.parent / "fork" / "labvirt-fork"
"""What makes an instant clone somebody of its own: the same program in each guest (docs/explanation/instant-clones.md)."""


def file_sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_below(place: Path) -> list[Path]:
    """The file itself, or those of a folder at any depth; without what Python keeps of its modules."""
    found = [place] if place.is_file() else sorted(place.rglob("*"))
    return [file for file in found if file.is_file() and "__pycache__" not in file.parts]


def recipe_files(recipe: Path, *places: Path, names: Path) -> dict[str, Path]:
    """By their names from `names` on: build.py and the modules beside it, those that all recipes share, and what lies at `places`. What
    lies elsewhere has its name in the folder of all recipes.

    No name says where the recipe lies: a checkout and an installed LabVirt have the same key.
    """
    modules = sorted(file for file in recipe.glob("*/*.py") if (file.parent / "__init__.py").is_file())
    own = [recipe / "build.py", *modules, *(file for place in places for file in files_below(place))]
    shared = {str(file.relative_to(SHARED.parent)): file for file in sorted(SHARED.glob("*.py"))}
    return {**{str(file.relative_to(names if file.is_relative_to(names) else SHARED.parent)): file for file in own}, **shared}


def content_key(files: Mapping[str, Path], words: Iterable[str]) -> str:
    """Of the recipe's files, and of the words that say the rest: packages with their versions, the builder's choices."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name}\0{file_sha256(file)}\n".encode())
    digest.update("\n".join(words).encode())
    return digest.hexdigest()
