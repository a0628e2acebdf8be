# SPDX-License-Identifier: MIT
"""When the screen goes dark: X's own timer and DPMS (xset(1), options s and dpms)."""

from __future__ import annotations

import shutil


def command(minutes: int) -> list[str] | None:
    """The command for "dark after so many minutes without key or mouse" (0: never); None without xset."""
    program = shutil.which("xset")
    if program is None:
        return None
    if minutes == 0:
        return [program, "s", "off", "-dpms"]
    seconds = str(minutes * 60)
    # both: a screen without DPMS is at least black
    return [program, "s", "blank", "s", seconds, "0", "+dpms", "dpms", seconds, seconds, seconds]
