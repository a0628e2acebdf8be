# SPDX-License-Identifier: MIT
"""The keyboard layouts that a person may choose, each by its own name. Nothing else is ever handed to setxkbmap."""

from __future__ import annotations

import shutil

LAYOUTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "us": ("English (US)", ("-layout", "us")),
    "gb": ("English (UK)", ("-layout", "gb")),
    "es": ("Español", ("-layout", "es")),
    "latam": ("Español (Latinoamérica)", ("-layout", "latam")),
    "fr": ("Français", ("-layout", "fr")),
    "ca": ("Français (Canada)", ("-layout", "ca")),
    "be": ("Français (Belgique)", ("-layout", "be")),
    "cz": ("Čeština (QWERTZ)", ("-layout", "cz")),
    "cz-qwerty": ("Čeština (QWERTY)", ("-layout", "cz", "-variant", "qwerty")),
    # Russian alone would leave no Latin letters for names and passwords
    "ru": ("Русский / English (Alt+Shift)", ("-layout", "us,ru", "-option", "grp:alt_shift_toggle")),
    "de": ("Deutsch", ("-layout", "de")),
    "pt": ("Português", ("-layout", "pt")),
}


def command(keyboard: str) -> list[str] | None:
    """The command that chooses the layout; None without setxkbmap. `keyboard` is one of LAYOUTS."""
    program = shutil.which("setxkbmap")
    # the empty option first: setxkbmap adds options to those of before otherwise
    return [program, "-option", "", *LAYOUTS[keyboard][1]] if program else None
