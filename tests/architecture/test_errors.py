# SPDX-License-Identifier: MIT
"""Every error of the tree has an HTTP status and an exit code that somebody chose for it or for its family.

web/errors.py and cli/errors.py each hold one table, error class -> number; the line of the nearest ancestor counts.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import pytest

from labvirt import errors
from labvirt.errors import LabVirtError


def descendants(error: type[LabVirtError]) -> Iterator[type[LabVirtError]]:
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from descendants(child)


LEAVES = sorted({error for error in descendants(LabVirtError) if not list(descendants(error))}, key=lambda e: e.__name__)


def table_of(module: str) -> Mapping[type[LabVirtError], int]:
    """The one table of a module; a missing module or table is a failure, not a reason to skip."""
    tables = [
        value
        for name, value in vars(importlib.import_module(module)).items()
        if not name.startswith("__") and isinstance(value, Mapping) and value
        if all(isinstance(key, type) and issubclass(key, LabVirtError) for key in value)
    ]
    assert len(tables) == 1, f"{module} should hold one table error class -> number, it has {len(tables)}"
    return tables[0]


def number_for(error: type[LabVirtError], table: Mapping[type[LabVirtError], int]) -> int | None:
    """The number of the nearest ancestor below the root, whose own line is for strangers: no leaf falls back on it."""
    for family in error.__mro__[: error.__mro__.index(LabVirtError)]:
        if family in table:
            return int(table[family])
    return None


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_has_an_http_status(leaf: type[LabVirtError]) -> None:
    status = number_for(leaf, table_of("labvirt.web.errors"))
    assert status is not None, f"{leaf.__name__} has no line in labvirt/web/errors.py"
    assert 400 <= HTTPStatus(status) <= 599


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_has_an_exit_code(leaf: type[LabVirtError]) -> None:
    code = number_for(leaf, table_of("labvirt.cli.errors"))
    assert code is not None, f"{leaf.__name__} has no line in labvirt/cli/errors.py"
    assert code in {1, 2, 3}, "0 done, 1 the answer is no, 2 wrong use, 3 the host is not able"


def test_a_leaf_without_a_line_is_noticed() -> None:
    assert number_for(errors.ImageDamaged, {LabVirtError: 500, errors.DnsError: 502}) is None
    assert number_for(errors.ImageDamaged, {LabVirtError: 500, errors.DriverError: 502}) == 502


def test_codes_are_unique_and_the_drawing_shows_every_class() -> None:
    everybody = [LabVirtError, *descendants(LabVirtError)]
    codes = [vars(error).get("code") for error in everybody]
    assert None not in codes
    assert len(set(codes)) == len(codes)
    drawing = inspect.getdoc(errors) or ""
    assert [error.__name__ for error in everybody if error.__name__ not in drawing.split()] == []
    assert "NobodyError" not in drawing.split()
