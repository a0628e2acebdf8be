# SPDX-License-Identifier: MIT
"""The kernel's modules: those that the list `modules` names, with those they need, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labvirt_recipe.program import run

from kiosk_recipe.lists import listed

AT_ONCE = 200
"""Files that one program is given: a command line has its limit."""


def module_name(file: Path | str) -> str:
    return Path(file).name.split(".")[0].replace("-", "_")


def wanted_modules(kernel: Path, lines: Iterable[str]) -> tuple[set[Path], set[Path]]:
    """(of the image, of the initial file system): the files that the list's patterns name, with those they need."""
    files = {module_name(file): file for file in kernel.rglob("*.ko*")}
    needs: dict[Path, list[Path]] = {}
    for line in (kernel.parent / "modules.dep").read_text().splitlines():
        name, _, others = line.partition(":")
        needs[kernel.parent / name] = [kernel.parent / other for other in others.split()]
    image, boot = set[Path](), set[Path]()
    for line in lines:
        early, pattern = line.startswith("boot "), line.removeprefix("boot ").strip()
        found = {file for file in kernel.glob(pattern) if file in set(files.values())}
        found |= {other for file in found for other in needs.get(file, [])}
        image |= found
        boot |= found if early else set()
    return image, boot


def prune_modules(tree: Path) -> tuple[str, set[Path]]:
    """Only the wanted modules are left, not compressed one by one. (kernel's version, files of the initial file system)"""
    (folder,) = (tree / "usr/lib/modules").iterdir()
    if not (folder / "modules.dep").is_file():
        run("depmod", "-b", tree / "usr", folder.name)
    image, boot = wanted_modules(folder / "kernel", listed("modules"))
    for file in list(folder.rglob("*.ko*")):
        if file not in image:
            file.unlink()
    packed = [file for file in image if file.suffix == ".xz"]
    for start in range(0, len(packed), AT_ONCE):
        run("xz", "-d", *packed[start : start + AT_ONCE])
    run("depmod", "-b", tree / "usr", folder.name)
    return folder.name, {file.with_suffix("") if file.suffix == ".xz" else file for file in boot}
