# SPDX-License-Identifier: MIT
"""A small handle at the top edge over a running viewer: a click opens what the person may do. It takes no focus.

Only the mouse reaches it: a viewer in full screen holds the keyboard.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable

from labvirt_kiosk import face_style as style
from labvirt_kiosk.face_style import Style

_LIFT_MS = 500


class Handle:
    """Hidden until `show(True)`; `act` is what a click does."""

    def __init__(self, root: tk.Misc, sizes: Style, act: Callable[[], None]) -> None:
        self._timer = ""
        self.window = tk.Toplevel(root, background=style.LINE, name="handle", takefocus=False)
        self.window.withdraw()
        self.window.title("LabVirt handle")
        self.window.overrideredirect(True)  # no window manager frames it or gives it the focus
        self.window.attributes("-topmost", True)
        wide, high = sizes.px(90), max(8, sizes.px(12))
        self.window.geometry(f"{wide}x{high}+{(sizes.width - wide) // 2}+0")
        line = tk.Frame(self.window, background=style.ACCENT, cursor="hand2")
        line.place(relx=0.2, rely=0.3, relwidth=0.6, relheight=0.4)
        for widget in (self.window, line):
            widget.bind("<Button-1>", lambda _: act())

    @property
    def visible(self) -> bool:
        return self.window.state() != "withdrawn"

    def show(self, shown: bool) -> None:
        if shown == self.visible:
            return
        if self._timer:
            self.window.after_cancel(self._timer)
            self._timer = ""
        if shown:
            self.window.deiconify()
            self._stay_on_top()
        else:
            self.window.withdraw()

    def _stay_on_top(self) -> None:
        self.window.lift()  # the viewer may have mapped its window after us
        self._timer = self.window.after(_LIFT_MS, self._stay_on_top)
