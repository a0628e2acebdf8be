# SPDX-License-Identifier: MIT
"""Text from elsewhere, made fit for one line of a screen, a log or a status file."""

from __future__ import annotations


def clean(text: str, limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters.

    Control, escape and text-direction characters become spaces: a name must not be able to move the cursor, recolour
    the screen or start a second line.
    """
    kept = "".join(character if character.isprintable() else " " for character in text[: 4 * limit])
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def is_plain(text: str) -> bool:
    """Whether `text` may stand in an argument or a configuration line: printable, so without line breaks."""
    return text.isprintable()
