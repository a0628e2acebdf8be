# SPDX-License-Identifier: MIT
"""GRUB with all it needs in one file, by Debian 13's own grub-mkimage, whatever release builds it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labvirt_recipe.program import run


def make_core(loaders: Path, output: Path, modules: Iterable[str], *, kind: str, prefix: str, form: str | None = None) -> None:
    """`output` is GRUB for `kind`, in the form of that name unless another is named; it reads its menu in the folder `prefix`.

    `loaders` is the unpacked loaders.tar. grub-mkimage runs with its own C library: that of this machine may be older.
    """
    library = loaders / "usr/lib/x86_64-linux-gnu"
    interpreter = (library / "ld-linux-x86-64.so.2", "--library-path", library)
    options = ("--directory", loaders / "usr/lib/grub" / kind, "--prefix", prefix, "--format", form or kind)
    run(*interpreter, loaders / "usr/bin/grub-mkimage", *options, "--output", output, *modules)


def boot_sector(loaders: Path) -> bytes:
    """What a BIOS reads first from a disk."""
    return (loaders / "usr/lib/grub/i386-pc/boot.img").read_bytes()
