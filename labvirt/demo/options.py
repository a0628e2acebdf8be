# SPDX-License-Identifier: MIT
"""What `labvirt demo` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labvirt.errors import InvalidInput

MOST_TERMINALS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """`check`: do it once, judge, write `json_path` and end. Otherwise show until Ctrl-C."""

    terminals: int = 4
    check: bool = False
    json_path: Path | None = None
    pictures: Path | None = None
    """Where the screenshots stay after a check (default: beside the JSON file)."""
    hypervisor: str = "qemu"
    deadline_seconds: float = 300.0

    def __post_init__(self) -> None:
        if not 1 <= self.terminals <= MOST_TERMINALS:
            raise InvalidInput("terminals", f"must be 1 to {MOST_TERMINALS}")
