# SPDX-License-Identifier: MIT
"""What the desktop takes from Debian, and what is done while its packages are installed."""

from __future__ import annotations

from pathlib import Path

from labvirt_recipe.content import file_sha256, files_below
from labvirt_recipe.debian import TRANSLATIONS, DebianPart, inside

from desktop_recipe import RECIPE, ROOT, USER

LOADER_PACKAGES = ("grub-common", "grub-pc-bin", "grub-efi-amd64-bin")
ENABLED = ("systemd-networkd.service", "systemd-resolved.service", "xrdp.service", "xrdp-sesman.service")
PATHS = (
    "path-exclude=/usr/share/locale/*/*",
    *(f"path-include=/usr/share/locale/{name}*/*" for name in TRANSLATIONS),
    "path-include=/usr/share/doc/*/copyright",
)
REVISION = "1"
"""Another number makes Debian's part anew: for a change of what is done here that nothing else in its key shows."""


def early_files() -> list[Path]:
    """Those of ours that must lie there before the kernel's initial file system is made."""
    return [file for file in files_below(ROOT) if "initramfs-tools" in file.parts]


def debian_part(packages: list[str]) -> DebianPart:
    """The system with these packages, and the loaders for BIOS and UEFI."""
    early = []
    for file in early_files():
        place = file.relative_to(ROOT).parent
        early += [f'--essential-hook=mkdir -p "$1/{place}"', f"--essential-hook=copy-in {file} /{place}"]
    return DebianPart(
        recipe="desktop",
        variant="minbase",
        packages=packages,
        loaders=LOADER_PACKAGES,
        paths=PATHS,
        hooks=(
            *early,
            inside("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "audio,video,plugdev", USER),
            inside("systemctl", "enable", *ENABLED),
            # xfdesktop paints this one where nothing else was chosen; the seat's picture takes its name.
            inside("dpkg-divert", "--local", "--rename", "--add", "/usr/share/backgrounds/xfce/xfce-x.svg"),
        ),
        also=(*(f"{file.relative_to(RECIPE)} {file_sha256(file)}" for file in early_files()), *ENABLED, USER, REVISION),
    )
