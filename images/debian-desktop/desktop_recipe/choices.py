# SPDX-License-Identifier: MIT
"""What goes into a desktop, by the list beside this folder and by its builder's choices; and the key that names it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labvirt_recipe import RecipeError, content

from desktop_recipe import RECIPE, ROOT

MIB_OF_GIB = 1 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What a builder may choose. `root_sign_in`: the SHA-256 of the hash of root's password; False: nobody is root."""

    timezone: str
    locale: str
    size_mib: int
    added: list[str]
    root_sign_in: str | bool

    @property
    def size(self) -> int:
        """Bytes of the disk as the guest sees it."""
        return self.size_mib << 20

    def settings(self) -> dict[str, Any]:
        """As the manifest has it."""
        return asdict(self)


def choices(*, timezone: str, locale: str, size_gib: int, added: list[str], root: str) -> Choices:
    """Of the options; `root` is a hash of root's password, or empty."""
    sign_in = hashlib.sha256(root.encode()).hexdigest() if root else False
    return Choices(timezone=timezone, locale=locale, size_mib=size_gib * MIB_OF_GIB, added=added, root_sign_in=sign_in)


def package_list(added: Iterable[str]) -> list[str]:
    """The list beside this folder and what the builder asked for, each once. Raises RecipeError."""
    lines = (line.strip() for line in (RECIPE / "packages").read_text().splitlines())
    wanted = [line for line in lines if line and not line.startswith("#")]
    for name in added:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
            raise RecipeError(f"{name!r} is no name of a Debian package: see `apt-cache search`.")
    return list(dict.fromkeys([*wanted, *added]))


def password_hash(file: Path | None) -> str:
    """The hash of root's password in this file, as `openssl passwd -6` prints it. A password in clear is refused: it would be no hash."""
    if file is None:
        return ""
    text = file.read_text().strip()
    if not re.fullmatch(r"\$(y|6|5|2b|gy)\$[!-9;-~]+", text):
        raise RecipeError(f"{file} holds no hash of a password: make one with `openssl passwd -6 > {file}`.")
    return text


def recipe_files() -> dict[str, Path]:
    """What is laid over Debian, and what does it; not the README."""
    return content.recipe_files(RECIPE, RECIPE / "packages", ROOT, content.FORK, names=RECIPE)


def content_key(packages: list[str], settings: dict[str, Any]) -> str:
    """Names an image by what goes into it: our files, the versions of Debian's packages, and the builder's choices."""
    return content.content_key(recipe_files(), [*packages, json.dumps(settings, sort_keys=True)])
