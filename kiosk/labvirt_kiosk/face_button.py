# SPDX-License-Identifier: MIT
"""A flat button that keyboard and mouse reach, with a focus that is seen."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable

from labvirt_kiosk import face_style as style
from labvirt_kiosk.face_style import Style


def make(parent: tk.Misc, sizes: Style, text: str, act: Callable[[], None], *, name: str, chosen: bool = False) -> tk.Button:
    """Enter and space press it, the arrows go to its neighbours in the focus order."""
    button = tk.Button(
        parent,
        name=name,
        text=text,
        command=act,
        font=sizes.font(17),
        background=style.LINE if chosen else style.CARD,
        foreground=style.ACCENT if chosen else style.TEXT,
        activebackground=style.LINE,
        activeforeground=style.TEXT,
        highlightbackground=style.GROUND,
        highlightcolor=style.ACCENT,
        highlightthickness=max(2, sizes.px(2)),
        relief="flat",
        borderwidth=0,
        padx=sizes.px(16),
        pady=sizes.px(8),
        cursor="hand2",
        takefocus=True,
    )
    for key in ("<Return>", "<KP_Enter>", "<space>"):
        button.bind(key, lambda _: _press(button))
    for key in ("<Right>", "<Down>"):
        button.bind(key, lambda event: _go(event.widget.tk_focusNext()))
    for key in ("<Left>", "<Up>"):
        button.bind(key, lambda event: _go(event.widget.tk_focusPrev()))
    return button


def _press(button: tk.Button) -> str:
    button.invoke()
    return "break"  # Tk's own way for the space bar waits, and the button may be gone by then


def _go(widget: tk.Misc | None) -> None:
    if widget is not None:
        widget.focus_set()
