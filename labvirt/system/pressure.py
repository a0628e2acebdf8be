# SPDX-License-Identifier: MIT
"""Pressure stall information (Linux, Documentation/accounting/psi.rst): how long work stood still for want of something."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/proc/pressure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """`some`: at least one task waited; `full`: all that had work did. `avg10` in percent, `us` since the host's boot."""

    some_avg10: float
    some_us: int
    full_us: int


def read(what: str) -> Pressure | None:
    """Of `cpu`, `io` or `memory`; None where the kernel has none (not built, psi=0) or writes something else."""
    try:
        lines = (FOLDER / what).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):  # started with psi=0, reading answers EOPNOTSUPP
        return None
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        kind, *fields = line.split()
        found[kind] = dict(field.split("=", 1) for field in fields if "=" in field)
    try:
        return Pressure(
            some_avg10=float(found["some"]["avg10"]),
            some_us=int(found["some"]["total"]),
            full_us=int(found.get("full", {}).get("total", 0)),  # of processors only since Linux 5.13
        )
    except (KeyError, ValueError):
        return None
