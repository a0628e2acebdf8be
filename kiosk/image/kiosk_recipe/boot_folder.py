# SPDX-License-Identifier: MIT
"""The boot folder: what a terminal starts with, and its manifest. labvirt/disks/boot_folder.py reads it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labvirt_recipe import RecipeError
from labvirt_recipe.complete import sync_file, sync_folder, write_json
from labvirt_recipe.content import file_sha256

from kiosk_recipe.loaders import SIGNED

FILES = ("vmlinuz", "initrd.img", "kiosk.squashfs", "core.0", "stick.core", *SIGNED)
MANIFEST = "manifest.json"


def seal(folder: Path, version: str, **more: Any) -> dict[str, Any]:
    """The manifest, which lies in the folder; its files are read-only."""
    for name in FILES:
        (folder / name).chmod(0o444)
    files = {name: {"size": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)} for name in FILES}
    manifest = {"version": version, "files": files, **more, "built_at": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json(folder / MANIFEST, manifest)
    return manifest


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a whole, undamaged boot folder, or None."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        whole = all(file_sha256(folder / name) == manifest["files"][name]["sha256"] for name in FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def may_be_replaced(target: Path) -> bool:
    """Is nothing lost: is it not there, empty, or another boot folder with no other files?"""
    if target.is_symlink():
        return False
    if not target.exists():
        return True
    return target.is_dir() and {file.name for file in target.iterdir()} in (set(), {*FILES, MANIFEST})


def put_folder(source: Path, target: Path) -> None:
    """`target` is a complete copy, or is not there. Only an empty folder or another boot folder is replaced: else RecipeError."""
    if not may_be_replaced(target):
        raise RecipeError(f"{target} is there and is no boot folder of a kiosk: choose another --out.")
    target.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        new.chmod(0o755)
        for file in sorted(source.iterdir()):
            shutil.copyfile(file, new / file.name)
            (new / file.name).chmod(0o444)
            sync_file(new / file.name)
        sync_folder(new)
        if target.exists():
            shutil.rmtree(target)
        os.rename(new, target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    sync_folder(target.parent)
