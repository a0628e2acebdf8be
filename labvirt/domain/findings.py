# SPDX-License-Identifier: MIT
"""A finding: something a check saw, with what to do about it. Doctor and verify speak in findings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`code` is stable and documented, `sentence` says what was seen, `fix` is the exact command that mends it (may be empty)."""

    code: str
    severity: Severity
    sentence: str
    fix: str = ""
    subject: str = ""
