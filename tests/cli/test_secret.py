# SPDX-License-Identifier: MIT
"""Secrets come from stdin; a stdin that cannot be read is told like one that is empty."""

from __future__ import annotations

import io
import sys

import pytest

from labvirt.cli import secret
from labvirt.errors import InvalidInput


class Unreadable(io.StringIO):
    def readline(self, size: int | None = -1, /) -> str:
        raise OSError("Input/output error")


def test_the_first_line_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("four words in a row\nmore\n"))
    assert secret.ask("Password") == "four words in a row"


@pytest.mark.parametrize("stdin", [io.StringIO(""), Unreadable(), None])
def test_nothing_to_read(monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO | None) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(InvalidInput) as refused:
        secret.ask("Password")
    assert refused.value.field == "password"
