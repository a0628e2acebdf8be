# SPDX-License-Identifier: MIT
"""How much processor time a process wants: what it had, and what it waited for with work to do."""

from __future__ import annotations

from pathlib import Path


def seconds(pid: int, processes: Path = Path("/proc")) -> float | None:
    """Of all its threads, since each began: run and waited, from schedstat (Documentation/scheduler/sched-stats.rst, in nanoseconds).
    None when there is no such process, or the kernel does not tell."""
    total = 0
    try:
        for task in (processes / str(pid) / "task").iterdir():
            ran, waited, _ = (task / "schedstat").read_text(encoding="ascii").split()
            total += int(ran) + int(waited)
    except (OSError, ValueError):
        return None
    return total / 1e9
