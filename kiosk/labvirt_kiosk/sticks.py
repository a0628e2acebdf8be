# SPDX-License-Identifier: MIT
"""What may become of USB sticks that a person plugs in. The image's `labvirt-sticks` does it; other systems mount them by themselves."""

from __future__ import annotations

import shutil

OFF = "off"


def word(protocol: str, *, allowed: bool) -> str:
    """RDP hands folders over, SPICE whole devices."""
    if not allowed:
        return OFF
    return "devices" if protocol == "spice" else "folders"


def command(word: str) -> list[str] | None:
    """The command that makes it so; None where the system takes care of sticks by itself."""
    program = shutil.which("labvirt-sticks")
    return [program, word] if program else None
