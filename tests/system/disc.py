# SPDX-License-Identifier: MIT
"""A disc that boots: the tiny guest's own kernel and programs behind isolinux, with the tiny disk inside to be installed from it."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

MARK = "labvirt.disc=yes"
"""On its kernel's command line, and on that of nothing else."""
INSTALL = "gunzip -c /install.img.gz | dd of=/dev/vda bs=1M conv=fsync 2>&1; echo"
"""For the shell of what was booted from it."""

_DISK_BYTES = 32 << 20
"""From there on the tiny disk is empty (images/tiny/README.md)."""
_ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
_MODULE = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")


def make(tiny: Path, folder: Path) -> Path:
    """The disc image, in this folder. Needs xorriso, isolinux, mtools, cpio."""
    folder.mkdir()
    raw, content = folder / "tiny.raw", folder / "content"
    content.mkdir()
    _run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(tiny), str(raw))
    for name in ("vmlinuz", "initrd.gz", "syslinux.cfg"):
        _run("mcopy", "-n", "-i", f"{raw}@@1M", f"::{name}", str(content / name))
    with raw.open("rb") as disk:
        (folder / "install.img.gz").write_bytes(gzip.compress(disk.read(_DISK_BYTES), 1))
    packed = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], input=b"install.img.gz\n", cwd=folder, check=True, capture_output=True, timeout=60
    )
    (content / "install.cpio").write_bytes(packed.stdout)
    menu = (content / "syslinux.cfg").read_text()
    (content / "syslinux.cfg").unlink()
    (content / "isolinux.cfg").write_text(menu.replace("initrd=initrd.gz", f"initrd=initrd.gz,install.cpio {MARK}"))
    for file in (_ISOLINUX, _MODULE):
        (content / file.name).write_bytes(file.read_bytes())
    disc = folder / "disc.iso"
    boot = ("-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
    _run("xorriso", "-as", "mkisofs", "-quiet", "-o", str(disc), *boot, str(content))
    return disc


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)
