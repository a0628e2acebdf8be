# SPDX-License-Identifier: MIT
"""Debian's part of an image: two tar files in the cache, of the system and of the boot loaders, made by mmdebstrap.

They are made anew when what is asked for changes, or when the builder wishes for newer packages; our own files come later.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labvirt_recipe import RecipeError
from labvirt_recipe.cache import workplace
from labvirt_recipe.complete import move_folder
from labvirt_recipe.content import file_sha256
from labvirt_recipe.program import run

SUITE = "trixie"
LOCALES = ("en_US", "es_ES", "fr_FR", "cs_CZ", "ru_RU")
TRANSLATIONS = ("es", "fr", "cs", "ru")
WITHOUT = ("path-exclude=/usr/share/man/*", "path-exclude=/usr/share/doc/*")


def inside(*words: str) -> str:
    """A hook of mmdebstrap: these words, run in the new system. None has a blank or a quote in it."""
    return f'--customize-hook=chroot "$1" {" ".join(words)}'


@dataclass(frozen=True, kw_only=True, slots=True)
class DebianPart:
    """What a recipe asks of Debian. `also`: what the key must follow beside packages and languages."""

    recipe: str
    variant: str
    packages: Sequence[str]
    loaders: Sequence[str]
    paths: Sequence[str] = ()
    hooks: Sequence[str] = ()
    also: Sequence[str] = ()

    def key(self) -> str:
        """Of everything that Debian's part is made from."""
        parts = [SUITE, *self.packages, *self.loaders, *LOCALES, *self.also]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def folder(self, cache: Path) -> Path:
        return cache / f"{self.recipe}-base-{self.key()}"

    def take(self, cache: Path, *, mirror: str | None, refresh: bool) -> tuple[Path, list[str]]:
        """The folder with base.tar and loaders.tar, and "NAME VERSION" of each package; from the cache unless `refresh`."""
        folder = self.folder(cache)
        if mirror is None:
            raise RecipeError("apt's sources here name no archive of Debian; say which to use: --mirror URL")
        with contextlib.suppress(OSError, ValueError):
            if not refresh:
                return folder, [str(each) for each in json.loads((folder / "packages.json").read_text())]
        with workplace(cache, self.recipe) as work:
            made = work / "base"
            made.mkdir()
            compiled = [inside("localedef", "-i", name, "-f", "UTF-8", f"{name}.UTF-8") for name in LOCALES]
            told = f'--customize-hook=chroot "$1" dpkg-query -W -f "\\${{Package}} \\${{Version}}\\n" > {made}/packages'
            hooks = (*compiled, *self.hooks, told)
            self._bootstrap(made / "base.tar", self.variant, self.packages, *hooks, mirror=mirror)
            self._bootstrap(made / "loaders.tar", "extract", self.loaders, mirror=mirror)
            packages = sorted((made / "packages").read_text().splitlines())
            (made / "packages.json").write_text(json.dumps([*packages, f"loaders {file_sha256(made / 'loaders.tar')}"]))
            move_folder(made, folder)
        return self.take(cache, mirror=mirror, refresh=False)

    def _bootstrap(self, target: Path, variant: str, packages: Sequence[str], *hooks: str, mirror: str) -> None:
        """Packages of Debian 13 with all they depend on and nothing they recommend, as a tar file."""
        sources = f"deb {mirror} {SUITE} main\ndeb {mirror} {SUITE}-updates main\ndeb {mirror}-security {SUITE}-security main\n"
        thin = ["--aptopt=APT::Install-Recommends false", *(f"--dpkgopt={path}" for path in (*WITHOUT, *self.paths))]
        asked = (f"--variant={variant}", f"--include={','.join(packages)}", *hooks)
        run("mmdebstrap", "--quiet", "--architectures=amd64", *thin, *asked, SUITE, target, "-", data=sources.encode())
