# SPDX-License-Identifier: MIT
"""The recipe from its options to its image: what is in the cache already is not made again."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from labvirt_recipe.cache import locked, workplace
from labvirt_recipe.command import Made, add_mirror, carry_out, command
from labvirt_recipe.debian import LOCALES
from labvirt_recipe.disk_image import finished, hand_out, keep
from labvirt_recipe.program import check

from desktop_recipe.choices import choices, content_key, package_list, password_hash
from desktop_recipe.debian_part import debian_part
from desktop_recipe.disk import make_disk
from desktop_recipe.tree import assemble

PROGRAMS = ("mmdebstrap", "mkfs.ext4", "mformat", "mcopy", "qemu-img", "tar", "unshare")


def options_of(words: list[str] | None = None) -> argparse.Namespace:
    parser = command("Builds the desktop guest's disk image.", out="FILE.qcow2", out_is="where to put the image; FILE.json goes beside")
    add_mirror(parser)
    parser.add_argument("--with", dest="added", action="append", default=[], metavar="PACKAGE", help="one more Debian package; repeatable")
    parser.add_argument("--timezone", default="Etc/UTC", metavar="ZONE", help="such as Europe/Prague (default: %(default)s)")
    parser.add_argument("--locale", default="en_US", choices=LOCALES, help="language of the desktop (default: %(default)s)")
    parser.add_argument("--root-password", type=Path, metavar="FILE", help="its hash, by `openssl passwd -6` (default: no root sign-in)")
    parser.add_argument("--size", type=int, default=8, metavar="GIB", help="of the disk as the guest sees it (default: %(default)s)")
    # The recipe calls itself so where it is root: desktop_recipe/tree.py.
    parser.add_argument("--assemble", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if not 3 <= options.size <= 2000:
        parser.error("--size is from 3 to 2000 GiB")
    return options


def make(options: argparse.Namespace, cache: Path) -> Made | None:
    """The image, from the cache or built now, where it was asked for. Raises RecipeError, OSError."""
    if options.assemble:
        base, work, size, settings = options.assemble
        assemble(Path(base), Path(work), int(size), json.loads(settings))
        return None
    wanted = package_list(options.added)
    root = password_hash(options.root_password)
    chosen = choices(timezone=options.timezone, locale=options.locale, size_gib=options.size, added=options.added, root=root)
    settings = chosen.settings()
    check(PROGRAMS)
    with locked(cache, "desktop"):
        base, packages = debian_part(wanted).take(cache, mirror=options.mirror, refresh=options.refresh)
        key = content_key(packages, settings)
        folder = cache / f"desktop-{key[:16]}"
        known = finished(folder, "desktop")
        if known is None:
            with workplace(cache, "desktop") as work:
                image = make_disk(base, work, chosen, root)
                more = {"virtual_size": chosen.size, "settings": settings, "packages": packages}
                manifest = keep(image, folder, "desktop", key, **more)
            tidy(cache, (base, folder))
        else:
            manifest = known
        return Made(hand_out(folder, "desktop", options.out), manifest, built=known is None)


def tidy(cache: Path, staying: Iterable[Path]) -> None:
    """Images and bases of other recipes and choices are gone: each is about a gigabyte."""
    for path in cache.glob("desktop-*"):
        if re.fullmatch(r"desktop-(base-)?[0-9a-f]{16}", path.name) and path not in set(staying):
            shutil.rmtree(path, ignore_errors=True)


def main() -> int:
    return carry_out(options_of(), make)
