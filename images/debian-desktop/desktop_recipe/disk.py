# SPDX-License-Identifier: MIT
"""The disk that starts with a BIOS or with UEFI, made without mounting anything.

Where what lies: the first sector and GRUB's core for the BIOS, the partition with the loader for UEFI, the system to the end.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from labvirt_recipe import RecipeError
from labvirt_recipe.boot_record import SECTOR, Partition, boot_record
from labvirt_recipe.disk_image import converted
from labvirt_recipe.grub import boot_sector, make_core
from labvirt_recipe.program import run

from desktop_recipe.choices import Choices
from desktop_recipe.tree import assemble_apart

MIB = 1 << 20
LOADER_START, LOADER_END = MIB, 17 * MIB
"""The partition with the loader for UEFI; the one for the BIOS lies before it, the system behind."""

SIGNATURE = 0x4C414257
EFI, LINUX = 0xEF, 0x83
MODULES = "part_msdos part_gpt ext2 fat normal linux configfile search search_label test echo all_video reboot halt minicmd".split()


def first_sector(code: bytes, size: int) -> bytes:
    """GRUB's code and two partitions: for the loader of UEFI, and for the system, which is active."""
    return boot_record(code, SIGNATURE, [Partition(EFI, LOADER_START, LOADER_END), Partition(LINUX, LOADER_END, size, active=True)])


def make_disk(base: Path, work: Path, chosen: Choices, root: str) -> Path:
    """The bootable disk as a qcow2 file. `root`: the hash of root's password; empty: nobody can sign in as root."""
    if root:
        (work / "root-password").touch(mode=0o600)
        (work / "root-password").write_text(root)
    assemble_apart(base, work, chosen.size - LOADER_END, chosen.settings())
    loaders = work / "loaders"
    loaders.mkdir()
    run("tar", "-xf", base / "loaders.tar", "-C", loaders, "--no-same-owner", "--exclude=./dev/*")
    core, efi, system = work / "core.img", work / "BOOTX64.EFI", work / "system.ext4"
    # Each reads /boot/grub of the second partition of the disk it came from.
    make_core(loaders, core, [*MODULES, "biosdisk"], kind="i386-pc", prefix="(,msdos2)/boot/grub")
    make_core(loaders, efi, MODULES, kind="x86_64-efi", prefix="(,msdos2)/boot/grub")
    if core.stat().st_size > LOADER_START - SECTOR:
        raise RecipeError("GRUB has grown too large for its place on the disk: move LOADER_START.")
    disk = work / "disk.raw"
    with system.open("rb") as source, disk.open("wb") as target:
        target.truncate(chosen.size)
        target.write(first_sector(boot_sector(loaders), chosen.size))
        target.write(core.read_bytes())
        copy_data(source, target, LOADER_END)
    system.unlink()
    put_efi_loader(disk, efi)
    image = work / "desktop.qcow2"
    converted(disk, image)
    return image


def put_efi_loader(disk: Path, efi: Path) -> None:
    """The first partition is a FAT with the loader at the path that every firmware looks at."""
    drive = f"{disk}@@{LOADER_START}"
    sectors = (LOADER_END - LOADER_START) // SECTOR
    run("mformat", "-i", drive, "-T", str(sectors), "-H", str(LOADER_START // SECTOR), "-h", "64", "-s", "32", "-v", "EFI", "::")
    run("mmd", "-i", drive, "::EFI", "::EFI/BOOT")
    run("mcopy", "-i", drive, efi, "::EFI/BOOT/BOOTX64.EFI")


def copy_data(source: BinaryIO, target: BinaryIO, offset: int) -> None:
    """The source's data lies in the target from `offset` on; its holes stay holes."""
    end = source.seek(0, os.SEEK_END)
    place = 0
    while place < end:
        try:
            place = os.lseek(source.fileno(), place, os.SEEK_DATA)
        except OSError:
            return  # only a hole is left
        stop = os.lseek(source.fileno(), place, os.SEEK_HOLE)
        source.seek(place)
        target.seek(offset + place)
        while place < stop:
            piece = source.read(min(MIB, stop - place))
            target.write(piece)
            place += len(piece)
