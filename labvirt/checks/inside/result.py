# SPDX-License-Identifier: MIT
"""What a command inside a guest came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`code` is the exit status (minus the signal that ended it). On a serial line `out` has both outputs and `err` is empty."""

    code: int
    out: str
    err: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0
