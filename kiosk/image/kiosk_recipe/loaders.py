# SPDX-License-Identifier: MIT
"""The programs that start the kernel: over the network and from a stick, with a BIOS and with UEFI."""

from __future__ import annotations

import shutil
from pathlib import Path

from labvirt_recipe.grub import boot_sector, make_core

from kiosk_recipe.tree import unpack

SIGNED = {
    "shimx64.efi": "usr/lib/shim/shimx64.efi.signed",
    "grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
}
NETWORK_MODULES = (
    "pxe tftp http net normal linux configfile echo test regexp all_video gfxterm font minicmd search part_gpt part_msdos fat iso9660 "
    "reboot halt sleep true read serial terminal progress"
).split()
STICK_MODULES = (
    "biosdisk part_gpt fat ext2 normal linux configfile echo test regexp all_video minicmd reboot halt sleep true read terminal"
).split()


def boot_loaders(tar: Path, work: Path, folder: Path) -> None:
    """core.0 for the network and stick.core for a stick, both for the BIOS, and the two signed files for UEFI."""
    tree = work / "loaders"
    unpack(tar, tree)
    make_core(tree, folder / "core.0", NETWORK_MODULES, kind="i386-pc", form="i386-pc-pxe", prefix="(pxe)/grub")
    # A disk's first sector, and what it loads; `labvirt kiosk stick` puts both where they belong. The menu is in the second partition.
    core = work / "stick.core"
    make_core(tree, core, STICK_MODULES, kind="i386-pc", prefix="(,gpt2)/grub")
    (folder / "stick.core").write_bytes(boot_sector(tree) + core.read_bytes())
    for name, source in SIGNED.items():
        shutil.copyfile(tree / source, folder / name)
