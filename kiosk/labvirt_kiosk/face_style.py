# SPDX-License-Identifier: MIT
"""Colours, fonts and sizes of the face. Sizes are made for 1280 x 800 and follow the screen."""

from __future__ import annotations

import tkinter as tk
from tkinter import font

GROUND = "#10161f"
CARD = "#1b2533"
LINE = "#2b394c"
TEXT = "#f2f5f9"
MUTED = "#9fb0c3"
ACCENT = "#5aa9ff"
TROUBLE = "#ffb454"

_FAMILIES = ("Inter", "Noto Sans", "DejaVu Sans", "Liberation Sans")
_MONO = ("DejaVu Sans Mono", "Noto Sans Mono", "Liberation Mono")


class Style:
    """The sizes for one screen."""

    def __init__(self, root: tk.Misc, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._scale = min(max(min(width / 1280, height / 800), 0.62), 3.0)
        known = set(font.families(root))
        self._family = next((name for name in _FAMILIES if name in known), "TkDefaultFont")
        self._mono = next((name for name in _MONO if name in known), "TkFixedFont")

    def px(self, size: int) -> int:
        return max(1, round(size * self._scale))

    def font(self, size: int, *, bold: bool = False, mono: bool = False) -> tuple[str, int, str]:
        """A font of `size` pixels (negative sizes are pixels for Tk), never too small to read."""
        return (self._mono if mono else self._family, -max(11, round(size * self._scale)), "bold" if bold else "normal")
