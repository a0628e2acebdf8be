# SPDX-License-Identifier: MIT
"""Restart or power off the terminal itself: two fixed commands, offered only where the setting allows them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from labvirt_kiosk.order import WORDS

VERBS = ("reboot", "poweroff")


def command(verb: str) -> list[str] | None:
    """The command; None without systemd's program."""
    assert verb in VERBS
    program = shutil.which("systemctl")
    return [program, verb] if program else None


def leave(verb: str) -> list[str] | None:
    """The kiosk program that says goodbye to the controller first and then runs the command; None as above."""
    if command(verb) is None:
        return None
    word = next(word for word, its_verb in WORDS.items() if its_verb == verb)
    return [sys.executable, str(Path(__file__).resolve().parents[1] / "labvirt-kiosk"), "--leave", word]
