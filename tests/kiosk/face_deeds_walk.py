# SPDX-License-Identifier: MIT
"""Presses the buttons of what the person may do, on the screen of DISPLAY; prints what was seen as JSON. Run by test_kiosk_face.py.

face_deeds_walk.py STATE_FOLDER
"""

from __future__ import annotations

import json
import sys
import time
import tkinter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "kiosk"))

from labvirt_kiosk.choices import ChoiceStore
from labvirt_kiosk.face_deeds import Deeds
from labvirt_kiosk.face_desk import FaceDesk
from labvirt_kiosk.trouble import Refused

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STARTING = {"state": "waiting", "message": "Your computer is being started.", "controller": "http://labvirt/", "id": "x", "seat": 7}
VIEWING = STARTING | {"state": "viewing", "message": "Showing lab-a-07 (seat 7)"}
BOTH = ("restart-guest", "fresh-guest", "power")
asked: list[tuple[str, str | None, str]] = []


class Controller:
    def __init__(self, url: str, id: str | None) -> None:
        self.who = (url, id)

    def deed(self, deed: str) -> None:
        asked.append((*self.who, deed))
        if deed == "fresh-guest":
            raise Refused("Your administrator does not allow this here")


def main(state: Path) -> None:
    root = tkinter.Tk()
    desk = FaceDesk(root, ChoiceStore(state), language="en", power_allowed=False, deeds=Deeds(Controller))
    seen: dict[str, Any] = {}

    def show(status: dict[str, Any]) -> None:
        desk.show(status, NOW)
        root.update()

    def names() -> list[str]:
        return [button.winfo_name() for button in desk.bar.buttons]

    def press(buttons: list[tkinter.Button], name: str) -> None:
        next(button for button in buttons if button.winfo_name() == name).invoke()
        root.update()

    def until(there: Any) -> None:
        deadline = time.monotonic() + 30
        while not there():
            assert time.monotonic() < deadline
            show(current)
            time.sleep(0.01)

    current = STARTING
    show(current)
    seen["nothing allowed"] = names()
    current = STARTING | {"allowed": BOTH, "fixed": ("language",), "language": "es"}
    show(current)
    seen["allowed"] = names()
    seen["words"] = [button.cget("text") for button in desk.bar.buttons]
    show(STARTING | {"allowed": BOTH, "fixed": (), "language": "es"})
    desk.choose("fr")
    show(STARTING | {"allowed": BOTH, "fixed": (), "language": "es"})
    seen["chosen"] = desk.words.language
    show(current)
    seen["fixed"] = desk.words.language
    press(desk.bar.buttons, "restart-guest")
    assert desk.bar.panel is not None
    press(desk.bar.panel.buttons, "cancel")
    seen["cancelled"] = list(asked)
    press(desk.bar.buttons, "restart-guest")
    press(desk.bar.panel.buttons, "do")
    until(lambda: asked)
    seen["asked"] = list(asked)
    seen["panel after success"] = desk.bar.panel is not None
    until(lambda: not desk._deeds._under_way.is_set())  # its thread says that it is over
    press(desk.bar.buttons, "fresh-guest")
    press(desk.bar.panel.buttons, "do")
    until(lambda: desk.bar.panel is not None)
    seen["refused"] = [child.cget("text") for child in desk.bar.panel.buttons]
    press(desk.bar.panel.buttons, "close")

    current = VIEWING | {"allowed": ("power",)}
    show(current)
    seen["handle without a deed"] = desk.handle.visible
    current = VIEWING | {"allowed": BOTH}
    show(current)
    seen["handle"] = desk.handle.visible
    seen["bar behind the viewer"] = bool(desk.bar.frame.winfo_manager())
    desk.handle.window.event_generate("<Button-1>", x=1, y=1)
    root.update()
    assert desk.card.panel is not None
    seen["card"] = [button.winfo_name() for button in desk.card.panel.buttons]
    press(desk.card.panel.buttons, "restart-guest")
    seen["question"] = [button.winfo_name() for button in desk.card.panel.buttons]
    before = len(asked)
    press(desk.card.panel.buttons, "do")
    until(lambda: len(asked) > before)
    seen["card after the deed"] = desk.card.panel is not None
    desk.handle.window.event_generate("<Button-1>", x=1, y=1)
    root.update()
    current = STARTING | {"allowed": BOTH}
    show(current)
    seen["card when the viewer is gone"] = desk.card.panel is not None
    seen["handle when the viewer is gone"] = desk.handle.visible
    print(json.dumps(seen))


main(Path(sys.argv[1]))
