# SPDX-License-Identifier: MIT
"""The kiosk's files, as the caller's own: Debian's without what no terminal needs, and ours laid over them."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

from labvirt_recipe.debian import TRANSLATIONS
from labvirt_recipe.layer import lay_over
from labvirt_recipe.program import run

from kiosk_recipe import INITRD, KIOSK, KIOSK_PARTS, ROOT
from kiosk_recipe.account import add_kiosk
from kiosk_recipe.lists import listed

ICONS = {"cursors", "index.theme", "symbolic", "16x16", "scalable"}


def unpack(tar: Path, tree: Path) -> None:
    """The files as the caller's own, readable by it; without devices, which the kernel makes."""
    tree.mkdir()
    run("tar", "-xf", tar, "-C", tree, "--no-same-owner", "--exclude=./dev/*")
    for file in [tree, *tree.rglob("*")]:
        if not file.is_symlink():
            mode = file.stat().st_mode
            # No program here may lend its owner's rights: nobody on a terminal needs them.
            file.chmod((mode | (0o700 if file.is_dir() else 0o400)) & ~(stat.S_ISUID | stat.S_ISGID) & 0o7777)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def drop(tree: Path) -> None:
    """What `dropped` names is gone, and every translation in a language the kiosk does not speak."""
    for pattern in listed("dropped"):
        for path in list(tree.glob(pattern)):
            remove(path)
    for folder in (tree / "usr/share/locale").glob("*"):
        if folder.name.split("_")[0].split("@")[0] not in TRANSLATIONS:
            remove(folder)
    for folder in (tree / "usr/share/icons/Adwaita").glob("*"):
        if folder.name not in ICONS:
            remove(folder)


def dress(tree: Path, version: str) -> None:
    """Our own files, the kiosk program, the user kiosk, and busybox as the first program."""
    lay_over(ROOT, tree)
    shutil.copyfile(INITRD / "lib/lease", tree / "usr/lib/labvirt/lease")
    (tree / "usr/lib/labvirt/lease").chmod(0o755)
    program = tree / "usr/lib/labvirt/kiosk"
    program.mkdir()
    for part in KIOSK_PARTS:
        source = KIOSK / part
        if source.is_dir():
            lay_over(source, program / part)
        elif source.is_file():
            shutil.copyfile(source, program / part)
    for name in ("init", "reboot", "poweroff"):
        remove(tree / "usr/sbin" / name)
        (tree / "usr/sbin" / name).symlink_to("../bin/busybox")
    add_kiosk(tree)
    (tree / "etc/hostname").write_text("terminal\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (tree / "etc/resolv.conf").unlink(missing_ok=True)
    (tree / "etc/resolv.conf").write_text("")
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/labvirt/version").write_text(version + "\n")
    for name in ("dev", "proc", "sys", "run", "tmp"):
        (tree / name).mkdir(exist_ok=True)


def sizes(tree: Path) -> dict[str, int]:
    """Bytes of the tree by part, for people who want it smaller."""
    parts = {"modules": "usr/lib/modules", "libraries": "usr/lib/x86_64-linux-gnu", "python": "usr/lib/python3*", "share": "usr/share"}
    told, total = dict[str, int](), 0
    for file in tree.rglob("*"):
        if file.is_file() and not file.is_symlink():
            size = file.stat().st_size
            place = file.relative_to(tree)
            part = next(
                (name for name, pattern in parts.items() if place.match(f"{pattern}/*") or any(up.match(pattern) for up in place.parents)),
                "rest",
            )
            told[part] = told.get(part, 0) + size
            total += size
    return {**dict(sorted(told.items())), "all": total}
