# SPDX-License-Identifier: MIT
"""docs/rows.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def missing(page: str) -> list[str]:
    """Every 'file::test' of the page that is not there."""
    named = NAMED.findall(page)
    return [f"{file}::{name}" for file, name in named if not _has(ROOT / "tests" / file, name)]


def _has(path: Path, name: str) -> bool:
    return path.exists() and re.search(rf"^\s*(?:async )?def {name}\(", path.read_text(), re.MULTILINE) is not None


def test_every_test_that_the_rows_name_exists() -> None:
    page = (ROOT / "docs" / "rows.md").read_text()
    assert len(NAMED.findall(page)) > 50
    assert missing(page) == []
    assert missing("| S2-01 | x | `unit/domain/test_guest.py::test_nobody_wrote_this` |") != []


def test_every_row_has_a_test() -> None:
    rows = [line for line in (ROOT / "docs" / "rows.md").read_text().splitlines() if re.match(r"\| S\d-\d\d \|", line)]
    assert len(rows) > 40
    assert [row for row in rows if not NAMED.search(row)] == []
