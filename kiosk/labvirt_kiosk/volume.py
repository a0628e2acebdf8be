# SPDX-License-Identifier: MIT
"""Louder and quieter, by the first of the usual programs that is installed."""

from __future__ import annotations

import shutil

_WAYS = (
    ("wpctl", ("set-volume", "-l", "1.0", "@DEFAULT_AUDIO_SINK@"), "5%+", "5%-"),
    ("pactl", ("set-sink-volume", "@DEFAULT_SINK@"), "+5%", "-5%"),
    ("amixer", ("-q", "sset", "Master"), "5%+", "5%-"),
)


def command(louder: bool) -> list[str] | None:
    """The command for one step; None if this terminal has none of the programs."""
    for name, arguments, up, down in _WAYS:
        program = shutil.which(name)
        if program is not None:
            return [program, *arguments, up if louder else down]
    return None
