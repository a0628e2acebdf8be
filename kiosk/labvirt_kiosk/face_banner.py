# SPDX-License-Identifier: MIT
"""The notice over a running viewer: a small window at the top edge that takes no focus and goes away by itself."""

from __future__ import annotations

import tkinter as tk

from labvirt_kiosk import face_style as style
from labvirt_kiosk.face_style import Style

SHOWN_SECONDS = 20
_LIFT_MS = 500


class Banner:
    """Shows each new text once, for as long as is told, else SHOWN_SECONDS."""

    def __init__(self, root: tk.Misc, sizes: Style, shown_seconds: float = SHOWN_SECONDS) -> None:
        self._sizes = sizes
        self._shown_ms = round(shown_seconds * 1000)
        self._text = ""
        self._timer = ""
        self.window = tk.Toplevel(root, background=style.ACCENT, name="notice", takefocus=False)
        self.window.withdraw()
        self.window.title("LabVirt notice")
        self.window.overrideredirect(True)  # no window manager frames it or gives it the focus
        self.window.attributes("-topmost", True)
        self.label = tk.Label(
            self.window,
            background=style.CARD,
            foreground=style.TEXT,
            font=sizes.font(20),
            padx=sizes.px(24),
            pady=sizes.px(12),
            wraplength=round(sizes.width * 0.7),
            justify="left",
        )
        self.label.pack(padx=(sizes.px(6), 0))  # the accent is seen as a stripe at the left

    @property
    def visible(self) -> bool:
        return self.window.state() != "withdrawn"

    def show(self, text: str, seconds: float | None = None) -> None:
        """`text` is seen now, if it is another than before; an empty one takes the banner away."""
        if text == self._text:
            return
        self._text = text
        if self._timer:
            self.window.after_cancel(self._timer)
            self._timer = ""
        if not text:
            self.window.withdraw()
            return
        self.label.configure(text=text)
        self.window.update_idletasks()
        left = (self._sizes.width - self.window.winfo_reqwidth()) // 2
        self.window.geometry(f"+{max(0, left)}+{self._sizes.px(12)}")
        self.window.deiconify()
        self._stay_on_top(self._shown_ms if seconds is None else round(seconds * 1000))

    def forget(self) -> None:
        """Gone; the same text would be shown again."""
        self.show("")

    def _stay_on_top(self, left_ms: int) -> None:
        if left_ms <= 0:
            self._timer = ""
            self.window.withdraw()
            return
        self.window.lift()  # the viewer may have mapped its window after us
        self._timer = self.window.after(min(_LIFT_MS, left_ms), self._stay_on_top, left_ms - _LIFT_MS)
