# SPDX-License-Identifier: MIT
"""QEMU's own tools on explicit chains: what a guest would see, and what a guest would write. Nothing of labvirt.disks is used."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer


def node(layers: Sequence[DiskLayer]) -> str:
    """The chain, top first, as a filename for qemu-img and qemu-io: every file and format is told."""
    below: dict[str, object] | None = None
    for layer in reversed(layers):
        here: dict[str, object] = {"driver": layer.format, "file": {"driver": "file", "filename": str(layer.path)}}
        if layer.format == "qcow2":
            here["backing"] = below
        below = here
    return "json:" + json.dumps(below)


def seen(layers: Sequence[DiskLayer]) -> bytes:
    """Every byte of the disk, by qemu-img convert."""
    with tempfile.TemporaryDirectory(prefix="lvt-judge-") as folder:
        flat = Path(folder) / "flat.raw"
        _run("qemu-img", "convert", "-O", "raw", node(layers), str(flat))
        return flat.read_bytes()


def write(layers: Sequence[DiskLayer], *commands: str) -> None:
    """qemu-io's commands on the top file, as a guest would write through the chain."""
    _run("qemu-io", *(word for command in commands for word in ("-c", command)), node(layers))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    assert "failed" not in done.stdout, done.stdout
