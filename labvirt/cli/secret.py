# SPDX-License-Identifier: MIT
"""Secrets that people type: never an argument, which every process of the machine could read."""

from __future__ import annotations

import sys

import click

from labvirt.errors import InvalidInput

LONGEST = 4096


def ask(what: str, field: str = "password") -> str:
    """Asked for twice on a terminal, unseen; else the first line of stdin. Raises InvalidInput when there is none."""
    if sys.stdin is not None and sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, confirmation_prompt=True, err=True))
    try:
        line = sys.stdin.readline(LONGEST).rstrip("\r\n") if sys.stdin is not None else ""
    except (OSError, ValueError):  # closed, a folder, or not text: as good as nothing
        line = ""
    if not line:
        raise InvalidInput(field, "must come on stdin", hint="Type it at a terminal, or hand it over: labvirt ... < FILE")
    return line
