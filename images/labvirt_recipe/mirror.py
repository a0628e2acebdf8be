# SPDX-License-Identifier: MIT
"""Where Debian's packages come from: the archive that this machine uses itself."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path


def mirror_of(text: str) -> str | None:
    """The first archive of Debian's main that a file of apt's sources names."""
    for line in text.splitlines():
        if found := re.match(r"(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(https?://\S+?/debian)/?(?:\s|$)", line):
            return found[1]
    return None


def default_mirror() -> str | None:
    """The archive of Debian this machine uses; None when its sources name none."""
    folder = Path("/etc/apt")
    for file in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if mirror := mirror_of(file.read_text()):
                return mirror
    return None
