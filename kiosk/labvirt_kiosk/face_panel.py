# SPDX-License-Identifier: MIT
"""A card in the middle with a question and its answers: languages, keyboards, "really?". Escape closes it."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labvirt_kiosk import face_button
from labvirt_kiosk import face_style as style
from labvirt_kiosk.face_style import Style

_ROWS = 6


@dataclass(frozen=True, slots=True)
class Option:
    """One answer. `name` is the widget's."""

    name: str
    text: str
    act: Callable[[], None]


class Panel:
    """Open from the start; `close` (also after an answer) removes it and calls `on_close`."""

    def __init__(
        self, root: tk.Misc, sizes: Style, title: str, options: Sequence[Option], chosen: str, on_close: Callable[[], None]
    ) -> None:
        self._on_close = on_close
        self.frame = tk.Frame(root, background=style.GROUND, name="panel")  # covers the sentences, not the seat and the bar
        edge = tk.Frame(self.frame, background=style.LINE)
        edge.place(relx=0.5, rely=0.5, anchor="center")
        card = tk.Frame(edge, background=style.GROUND, padx=sizes.px(28), pady=sizes.px(24))
        card.pack(padx=1, pady=1)
        columns = (len(options) + _ROWS - 1) // _ROWS
        tk.Label(
            card,
            text=title,
            font=sizes.font(22, bold=True),
            foreground=style.TEXT,
            background=style.GROUND,
            justify="left",
            wraplength=round(sizes.width * 0.6),
        ).grid(row=0, column=0, columnspan=columns, sticky="w", pady=(0, sizes.px(14)))
        self.buttons: list[tk.Button] = []
        for number, option in enumerate(options):
            button = face_button.make(
                card, sizes, option.text, lambda option=option: self._answer(option), name=option.name, chosen=option.name == chosen
            )
            button.configure(anchor="w")
            button.grid(row=1 + number % _ROWS, column=number // _ROWS, sticky="ew", padx=sizes.px(3), pady=sizes.px(3))
            button.bind("<Escape>", lambda _: self.close())
            self.buttons.append(button)
        self.frame.place(relx=0, rely=0.17, relwidth=1, relheight=0.67)
        self.frame.lift()
        names = [option.name for option in options]
        self.buttons[names.index(chosen) if chosen in names else 0].focus_set()

    def _answer(self, option: Option) -> None:
        self.close()
        option.act()

    def close(self) -> None:
        if self.frame.winfo_exists():
            self.frame.destroy()
            self._on_close()
