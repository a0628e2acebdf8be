# SPDX-License-Identifier: MIT
"""The recipe from its options to its image and key: what is in the cache already is not made again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from labvirt_recipe import content
from labvirt_recipe.cache import locked, workplace
from labvirt_recipe.command import Made, carry_out, command
from labvirt_recipe.disk_image import finished, hand_out, keep
from labvirt_recipe.program import run

from tiny_recipe import GUEST, RECIPE
from tiny_recipe.disk import FREE_FROM, VIRTUAL_SIZE, make_disk
from tiny_recipe.packages import Packages, fetch, known_packages, pin


def recipe_files() -> dict[str, Path]:
    """What runs inside, and what makes the disk; neither the README nor the colour strip's reader."""
    return content.recipe_files(RECIPE, GUEST, content.FORK, names=RECIPE)


def content_key(packages: Packages) -> str:
    """Names an image by what goes into it: the recipe's files and the packages' versions."""
    words = [f"{name}\0{packages[name]['version']}\0{packages[name]['sha256']}" for name in sorted(packages)]
    return content.content_key(recipe_files(), words)


def make(options: argparse.Namespace, cache: Path) -> Made | str:
    """The image, from the cache or built now, where it was asked for; or only its key. Raises RecipeError, OSError."""
    if options.key:
        return content_key(known_packages(cache, refresh=options.refresh))
    with locked(cache, "tiny"):
        packages = known_packages(cache, refresh=options.refresh)
        key = content_key(packages)
        known = finished(cache / key, "tiny")
        manifest = known or build(packages, key, cache)
        return Made(hand_out(cache / key, "tiny", options.out), manifest, built=known is None)


def build(packages: Packages, key: str, cache: Path) -> dict[str, Any]:
    """Makes <cache>/<key> with image and manifest. The folder appears complete or not at all."""
    with workplace(cache, "tiny") as work:
        unpacked = work / "unpacked"
        for package in fetch(packages, cache, work):
            run("dpkg-deb", "-x", package, unpacked)
        image = make_disk(unpacked, work)
        versions = {name: packages[name]["version"] for name in sorted(packages)}
        pin(cache, packages)
        return keep(image, cache / key, "tiny", key, virtual_size=VIRTUAL_SIZE, free_from=FREE_FROM, packages=versions)


def main() -> int:
    parser = command("Builds the tiny guest's disk image.", out="FILE.qcow2", out_is="where to put the image; FILE.json goes beside")
    parser.add_argument("--key", action="store_true", help="print the content key and build nothing")
    return carry_out(parser.parse_args(), make)
