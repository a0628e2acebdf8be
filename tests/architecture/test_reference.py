# SPDX-License-Identifier: MIT
"""Reference pages under test: every setting and every error code has its line, with what the code says."""

from __future__ import annotations

from pathlib import Path

import labvirt.cli.errors
import labvirt.web.errors
from labvirt import errors
from labvirt.config import Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def rows(page: str) -> dict[str, list[str]]:
    lines = (REFERENCE / page).read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row for row in cells}


def nearest(table: dict[type, int], error: type) -> int:
    return next(table[each] for each in error.__mro__ if each in table)


def test_every_setting_has_its_line_and_no_other_has() -> None:
    told = rows("settings.md")
    assert set(told) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert told[name][3] == field.description


def test_every_error_has_its_line_with_status_and_exit_code() -> None:
    told = rows("errors.md")
    tree = {each.code: each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.LabVirtError)}
    assert set(told) == set(tree)
    for code, error in tree.items():
        assert told[code][3:] == [
            str(nearest(labvirt.web.errors.STATUS, error)),
            str(nearest(labvirt.cli.errors.EXIT_CODES, error)),
            "yes" if error.retryable else "no",
        ]
