# SPDX-License-Identifier: MIT
"""Restart or power off the terminal itself: two fixed commands, offered only where the setting allows them."""

from __future__ import annotations

import shutil

VERBS = ("reboot", "poweroff")


def command(verb: str) -> list[str] | None:
    """The command; None without systemd's program."""
    assert verb in VERBS
    program = shutil.which("systemctl")
    return [program, verb] if program else None
