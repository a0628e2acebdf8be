# SPDX-License-Identifier: MIT
"""Joins the face and its bar, and speaks the language that the person chose."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from labvirt_kiosk import command, face_deeds
from labvirt_kiosk.catalogue import LANGUAGES, Catalogue
from labvirt_kiosk.choices import ChoiceStore
from labvirt_kiosk.face import Face
from labvirt_kiosk.face_bar import Bar
from labvirt_kiosk.face_card import Card
from labvirt_kiosk.face_deeds import Deeds
from labvirt_kiosk.face_handle import Handle
from labvirt_kiosk.face_panel import Option
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
        deeds: Deeds | None = None,
    ) -> None:
        self._choices = choices
        self._started_with = language
        self._wished: tuple[object, ...] = ()
        self.words = Catalogue(choices.load().language or language)
        self.face = Face(root)
        self._deeds = deeds or Deeds()
        self._status: Mapping[str, Any] = {}
        self._viewing = False
        self.bar = Bar(root, self.face.sizes, choices, power_allowed=power_allowed, on_language=self.choose, on_deed=self._deed, run=run)
        self.handle = Handle(root, self.face.sizes, self._offer)
        self.card = Card(root, self.face.sizes)
        self._build()

    def choose(self, language: str) -> None:
        self._choices.change(language=language)
        self.words = Catalogue(language)
        self._build()

    def show(self, status: Mapping[str, Any], now: datetime, address: str = "") -> None:
        self._status = status
        self._follow(status)
        view = view_of(status, self.words, now, address)
        self.face.show(view)
        self.bar.show(not view.viewing)
        self.handle.show(view.viewing and bool(self._offered()))
        if view.viewing != self._viewing:
            self._viewing = view.viewing
            self.card.close()
        if refusal := self._deeds.refusal():
            self._tell(self.words.translate(refusal))
        self._place_corner()

    def _deed(self, deed: str) -> None:
        self._deeds.send(self._status, deed)

    def _offered(self) -> list[str]:
        allowed = self._status.get("allowed") or ()
        return [deed for deed in face_deeds.DEEDS if deed in allowed]

    def _offer(self) -> None:
        """Over the viewer: what the person may do, and after that the question."""
        options = [Option("cancel", self.words.say("Cancel"), lambda: None)]
        options += [Option(deed, face_deeds.button(self.words, deed), lambda deed=deed: self._ask(deed)) for deed in self._offered()]
        self.card.open(self.words.say("Your computer"), options)

    def _ask(self, deed: str) -> None:
        act = Option("do", face_deeds.button(self.words, deed), lambda: self._deed(deed))
        self.card.open(face_deeds.question(self.words, deed), [Option("cancel", self.words.say("Cancel"), lambda: None), act])

    def _tell(self, sentence: str) -> None:
        if self._viewing:
            self.card.open(sentence, [Option("close", self.words.say("Close"), lambda: None)])
        else:
            self.bar.tell(sentence)

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
