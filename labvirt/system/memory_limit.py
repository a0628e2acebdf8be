# SPDX-License-Identifier: MIT
"""The memory that is left below the limits of our own control group (cgroup v2): guests are our children, and count there too."""

from __future__ import annotations

from pathlib import Path

_MIB = 1 << 20


def available_mib(process: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The least that is left in any group above us; None where there is no limit, or no cgroup v2.

    File pages that nobody used lately count as free, as in the kernel's own MemAvailable.
    """
    try:
        lines = process.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    path = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if path is None:
        return None
    left = []
    folder = root / path.lstrip("/")
    while folder != root and root in folder.parents:
        found = _left_in(folder)
        left += [found] if found is not None else []
        folder = folder.parent
    return max(0, min(left)) // _MIB if left else None


def _left_in(folder: Path) -> int | None:
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        unused = next((int(line.split()[1]) for line in statistics if line.startswith("inactive_file ")), 0)
        return int(limit) - used + unused
    except (OSError, ValueError):
        return None
