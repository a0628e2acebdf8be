# SPDX-License-Identifier: MIT
"""The user `kiosk`, who has no password and no shell, in the image's lists of accounts; nobody has a password there."""

from __future__ import annotations

import re
from pathlib import Path

LINES = {
    "passwd": "kiosk:x:1000:1000:kiosk:/run/home:/bin/false",
    "group": "kiosk:x:1000:",
    "shadow": "kiosk:!:20000::::::",
}
GROUPS = ("audio", "video", "input", "plugdev")


def add_kiosk(tree: Path) -> None:
    """The user is there, is in the groups that own screen, sound and sticks, and root is locked."""
    for name, line in LINES.items():
        file = tree / "etc" / name
        lines = [changed(name, each) for each in file.read_text().splitlines()]
        file.write_text("\n".join([*lines, line]) + "\n")


def changed(name: str, line: str) -> str:
    """What becomes of a line of that file."""
    if name == "shadow":
        return re.sub(r"^root:[^:]*:", "root:!:", line)
    if name == "group" and line.split(":")[0] in GROUPS:
        return line.rstrip(",") + ("," if line[-1] != ":" else "") + "kiosk"
    return line
