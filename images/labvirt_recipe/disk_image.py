# SPDX-License-Identifier: MIT
"""A disk image in the cache: FOLDER/NAME.qcow2 with its manifest FOLDER/NAME.json beside it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labvirt_recipe.complete import move_folder, put, sync_file, write_json
from labvirt_recipe.content import file_sha256
from labvirt_recipe.program import run


def converted(disk: Path, image: Path) -> None:
    """The raw disk as qcow2; not compressed, since that triples the time of a start from an IDE disk."""
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, image)


def finished(folder: Path, name: str) -> dict[str, Any] | None:
    """The manifest of a whole, undamaged image, or None."""
    try:
        manifest: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
        whole = file_sha256(folder / f"{name}.qcow2") == manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def keep(image: Path, target: Path, name: str, key: str, **more: Any) -> dict[str, Any]:
    """The manifest. The folder `target` appears with image and manifest, or not at all; the image is moved from where it was made."""
    made = image.parent / "made"
    made.mkdir()
    kept = made / f"{name}.qcow2"
    os.rename(image, kept)
    kept.chmod(0o444)
    sync_file(kept)
    built_at = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {"key": key, "sha256": file_sha256(kept), "size": kept.stat().st_size, **more, "built_at": built_at}
    write_json(made / f"{name}.json", manifest)
    move_folder(made, target)
    return manifest


def hand_out(folder: Path, name: str, out: Path | None) -> Path:
    """Where the image is for whoever asked: in the cache, or as `out` with its manifest beside it."""
    if out is None:
        return folder / f"{name}.qcow2"
    target = out.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    put(folder / f"{name}.json", target.with_suffix(".json"))
    put(folder / f"{name}.qcow2", target)
    return target
