# SPDX-License-Identifier: MIT
"""What goes into a kiosk: the lists beside this folder, what it takes from Debian, our own files; and the key that names it."""

from __future__ import annotations

from pathlib import Path

from labvirt_recipe import content
from labvirt_recipe.debian import DebianPart

from kiosk_recipe import INITRD, KIOSK, KIOSK_PARTS, RECIPE, ROOT

LISTS = ("packages", "dropped", "modules")
LOADER_PACKAGES = ("grub-common", "grub-pc-bin", "shim-signed", "grub-efi-amd64-signed")


def listed(name: str) -> list[str]:
    """The lines of a list, without its comments."""
    lines = (RECIPE / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def debian_part() -> DebianPart:
    """The system with the listed packages, and the loaders for BIOS and UEFI."""
    return DebianPart(recipe="kiosk", variant="apt", packages=listed("packages"), loaders=LOADER_PACKAGES)


def recipe_files() -> dict[str, Path]:
    """What is laid over Debian, and what does it; not the README."""
    lists = [RECIPE / name for name in LISTS]
    return content.recipe_files(RECIPE, *lists, INITRD, ROOT, *(KIOSK / part for part in KIOSK_PARTS), names=KIOSK)


def content_key(packages: list[str]) -> str:
    """Names a kiosk by what goes into it: our files, and the versions of Debian's packages."""
    return content.content_key(recipe_files(), packages)
