# SPDX-License-Identifier: MIT
"""Joins the face and its bar, and speaks the language that the person chose."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from labvirt_kiosk import command
from labvirt_kiosk.catalogue import LANGUAGES, Catalogue
from labvirt_kiosk.choices import ChoiceStore
from labvirt_kiosk.face import Face
from labvirt_kiosk.face_bar import Bar
from labvirt_kiosk.face_view import view_of


class FaceDesk:
    """`show` paints a status; a choice of language counts from the next `show` on and is kept."""

    def __init__(
        self,
        root: tk.Tk,
        choices: ChoiceStore,
        *,
        language: str,
        power_allowed: bool,
        run: Callable[[list[str]], None] = command.run,
    ) -> None:
        self._choices = choices
        self._started_with = language
        self._wished: tuple[object, ...] = ()
        self.words = Catalogue(choices.load().language or language)
        self.face = Face(root)
        self.bar = Bar(root, self.face.sizes, choices, power_allowed=power_allowed, on_language=self.choose, run=run)
        self._build()

    def choose(self, language: str) -> None:
        self._choices.change(language=language)
        self.words = Catalogue(language)
        self._build()

    def show(self, status: Mapping[str, Any], now: datetime, address: str = "") -> None:
        self._follow(status)
        view = view_of(status, self.words, now, address)
        self.face.show(view)
        self.bar.show(not view.viewing)
        self._place_corner()

    def _follow(self, status: Mapping[str, Any]) -> None:
        """The words and the buttons are those of what the controller wishes now and of what the person chose, if that is not fixed."""
        wished, fixed, allowed = status.get("language"), status.get("fixed") or (), status.get("allowed") or ()
        wished = wished if isinstance(wished, str) and wished in LANGUAGES else ""
        chosen = "" if wished and "language" in fixed else self._choices.load().language
        language = chosen or wished or self._started_with
        now = (tuple(fixed), tuple(allowed))
        if language != self.words.language or now != self._wished:
            self._wished = now
            self.words = Catalogue(language)
            self.bar.may(fixed=fixed, allowed=allowed)
            self._build()

    def _build(self) -> None:
        self.bar.build(self.words)

    def _place_corner(self) -> None:
        self.face.root.update_idletasks()  # what is asked for below is known only then
        together = self.bar.frame.winfo_reqwidth() + self.face.corner.winfo_reqwidth()
        beside = together < self.face.sizes.width * 0.86
        self.face.place_corner(0 if beside else self.bar.frame.winfo_reqheight() + self.face.sizes.px(6))
