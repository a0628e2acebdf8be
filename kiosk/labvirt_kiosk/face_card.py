# SPDX-License-Identifier: MIT
"""A panel over a running viewer, in a window of its own that no window manager touches."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence

from labvirt_kiosk import face_style as style
from labvirt_kiosk.face_panel import Option, Panel
from labvirt_kiosk.face_style import Style

_LIFT_MS = 500


class Card:
    """One at a time: `open` replaces the one before, an answer or `close` takes it away."""

    def __init__(self, root: tk.Misc, sizes: Style) -> None:
        self._root = root
        self._sizes = sizes
        self.window: tk.Toplevel | None = None
        self.panel: Panel | None = None

    def open(self, title: str, options: Sequence[Option]) -> None:
        self.close()
        self.window = window = tk.Toplevel(self._root, background=style.GROUND, name="card", takefocus=False, cursor="arrow")
        window.title("LabVirt card")
        window.overrideredirect(True)
        window.attributes("-topmost", True)
        wide, high = round(self._sizes.width * 0.8), round(self._sizes.height * 0.7)
        window.geometry(f"{wide}x{high}+{(self._sizes.width - wide) // 2}+{round(self._sizes.height * 0.05)}")
        self.panel = Panel(window, self._sizes, title, options, "", self._gone)
        self._stay_on_top(window)

    def close(self) -> None:
        if self.panel is not None:
            self.panel.close()

    def _gone(self) -> None:
        window, self.window, self.panel = self.window, None, None
        if window is not None:
            window.destroy()

    def _stay_on_top(self, window: tk.Toplevel) -> None:
        if window is self.window:
            window.lift()
            window.after(_LIFT_MS, self._stay_on_top, window)
