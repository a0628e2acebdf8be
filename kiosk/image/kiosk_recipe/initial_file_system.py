# SPDX-License-Identifier: MIT
"""What the kernel starts with: busybox, our init and the modules of network cards and disks."""

from __future__ import annotations

import shutil
from pathlib import Path

from labvirt_recipe import cpio
from labvirt_recipe.content import files_below
from labvirt_recipe.program import run

from kiosk_recipe import INITRD

DEPMOD_READS = ("modules.order", "modules.builtin", "modules.builtin.modinfo")
NOBODY_READS = ("modules.order", "modules.builtin.modinfo", "modules.symbols", "modules.symbols.bin")
"""In the running system: modprobe takes the other tables."""


def initial_file_system(tree: Path, kernel: str, boot: set[Path], version: str, work: Path) -> bytes:
    """A compressed archive. `boot`: the modules it has; `version` names the kiosk."""
    stage = work / "initrd"
    stage_modules(tree / "usr/lib/modules" / kernel, boot, stage / "lib/modules" / kernel)
    run("depmod", "-b", stage, kernel)
    for name in NOBODY_READS:
        (stage / "lib/modules" / kernel / name).unlink(missing_ok=True)
    busybox = tree / "usr/bin/busybox"
    files: cpio.Files = {f"bin/{applet}": cpio.link("busybox") for applet in run(busybox, "--list").decode().split()}
    files["bin/busybox"] = cpio.program(busybox.read_bytes())
    for folder in (INITRD, stage):
        for file in files_below(folder):
            data = file.read_bytes()
            files[str(file.relative_to(folder))] = cpio.program(data) if data.startswith(b"#!") else cpio.plain(data)
    files["lib/version"] = cpio.plain(version.encode())
    archive = cpio.archive_of(files, folders=("dev", "proc", "sys", "run", "etc", "tmp"), devices=(cpio.CONSOLE,))
    return run("zstd", "-q", "-17", "-T0", "-c", data=archive)


def stage_modules(modules: Path, boot: set[Path], stage: Path) -> None:
    """Copies of these modules, and of what depmod reads beside them."""
    stage.mkdir(parents=True)
    for file in boot:
        place = stage / file.relative_to(modules)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    for name in DEPMOD_READS:
        shutil.copyfile(modules / name, stage / name)
