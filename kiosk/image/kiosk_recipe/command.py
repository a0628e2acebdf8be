# SPDX-License-Identifier: MIT
"""The recipe from its options to the boot folder: what is in the cache already is not made again."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

from labvirt_recipe.cache import locked, workplace
from labvirt_recipe.command import Made, add_mirror, carry_out, command
from labvirt_recipe.complete import move_folder
from labvirt_recipe.program import check, run

from kiosk_recipe.boot_folder import finished, put_folder, seal
from kiosk_recipe.initial_file_system import initial_file_system
from kiosk_recipe.kernel_modules import prune_modules
from kiosk_recipe.lists import content_key, debian_part
from kiosk_recipe.loaders import boot_loaders
from kiosk_recipe.tree import dress, drop, sizes, unpack

PROGRAMS = ("mmdebstrap", "mksquashfs", "depmod", "zstd", "xz", "tar")
COMPRESSION = ("-comp", "zstd", "-Xcompression-level", "15", "-b", "256K")
SAME_EACH_TIME = ("-all-root", "-mkfs-time", "0", "-all-time", "0")


def make(options: argparse.Namespace, cache: Path) -> Made:
    """The boot folder, from the cache or built now, where it was asked for. Raises RecipeError, OSError."""
    check(PROGRAMS)
    with locked(cache, "kiosk"):
        base, packages = debian_part().take(cache, mirror=options.mirror, refresh=options.refresh)
        version = content_key(packages)[:16]
        path = cache / f"kiosk-{version}"
        known = finished(path)
        manifest = known or build(base, packages, version, cache)
        if known is None:
            tidy(cache, path)
        if options.out is not None:
            path = options.out.absolute()
            put_folder(cache / f"kiosk-{version}", path)
        return Made(path, manifest, built=known is None)


def build(base: Path, packages: list[str], version: str, cache: Path) -> dict[str, Any]:
    """Makes <cache>/kiosk-<version>, a boot folder. It appears complete or not at all."""
    with workplace(cache, "kiosk") as work:
        tree, folder = work / "tree", work / "boot"
        folder.mkdir()
        unpack(base / "base.tar", tree)
        (kernel_file,) = (tree / "boot").glob("vmlinuz-*")
        shutil.copyfile(kernel_file, folder / "vmlinuz")
        kernel, boot = prune_modules(tree)
        (folder / "initrd.img").write_bytes(initial_file_system(tree, kernel, boot, version, work))
        drop(tree)
        dress(tree, version)
        run("mksquashfs", tree, folder / "kiosk.squashfs", "-no-progress", "-quiet", "-noappend", *SAME_EACH_TIME, *COMPRESSION)
        boot_loaders(base / "loaders.tar", work, folder)
        manifest = seal(folder, version, kernel=kernel, tree=sizes(tree), packages=packages)
        move_folder(folder, cache / f"kiosk-{version}")
    return manifest


def tidy(cache: Path, staying: Path) -> None:
    """Of what can be made again, this boot folder and the one before it stay; older ones are gone, as are bases of other lists."""
    made = [path for path in cache.glob("kiosk-*") if re.fullmatch(r"kiosk-[0-9a-f]{16}", path.name) and path != staying]
    old = sorted(made, key=lambda path: path.stat().st_mtime)[:-1]
    bases = [path for path in cache.glob("kiosk-base-*") if path != debian_part().folder(cache)]
    for path in (*old, *bases):
        shutil.rmtree(path, ignore_errors=True)


def main() -> int:
    parser = command(
        "Builds the kiosk's boot folder.", out="DIR", out_is="where to put a copy of the boot folder; what is there is replaced"
    )
    add_mirror(parser)
    return carry_out(parser.parse_args(), make)
