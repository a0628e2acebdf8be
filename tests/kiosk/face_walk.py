# SPDX-License-Identifier: MIT
"""Run as a program on DISPLAY: a face in this process is shown every state, pressed and walked; prints what it saw as JSON.

A process of its own because Tk keeps its connection to the screen for the life of its process.
"""

from __future__ import annotations

import json
import sys
import time
import tkinter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import screen

screen.kiosk_on_path()

from labvirt_kiosk.catalogue import LANGUAGES  # noqa: E402
from labvirt_kiosk.choices import ChoiceStore  # noqa: E402
from labvirt_kiosk.face_desk import FaceDesk  # noqa: E402

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def main() -> None:
    ran: list[list[str]] = []
    root = tkinter.Tk()
    shown = screen.Screen(display="", folder=Path(sys.argv[2]))
    desk = FaceDesk(root, ChoiceStore(Path(sys.argv[1])), language="en", power_allowed=True, run=ran.append)

    def show(state: str) -> None:
        desk.show(screen.STATES[state], NOON, "10.77.0.107")
        root.update()
        root.winfo_pointerx()  # a round trip: what was painted is on the screen now
        root.update()

    seen: dict[str, Any] = {"texts": {}, "cut": [], "colours": {}}
    for language in LANGUAGES:
        desk.choose(language)
        for state in screen.STATES:
            show(state)
            seen["texts"][f"{language} {state}"] = texts(root)
            seen["cut"] += [f"{language} {state}: {text}" for text in cut_off(root)]
            picture = shown.picture()
            assert picture is not None
            seen["colours"][f"{language} {state}"] = len(picture.getcolors(1 << 20) or [])
    desk.choose("en")
    show("starting")
    deadline = time.monotonic() + 20
    while root.focus_get() is None and time.monotonic() < deadline:  # the X server tells it when it likes
        root.update()
    seen["walk"] = walk(root)
    seen["keys"] = keys(root, desk)
    seen["ran"] = ran
    show("viewing")
    seen["viewing"] = {"banner": desk.face.banner.visible, "bar": bool(desk.bar.frame.winfo_manager())}
    print(json.dumps(seen))


def mapped(widget: tkinter.Misc) -> list[Any]:
    return [child for each in widget.winfo_children() if each.winfo_ismapped() for child in (each, *mapped(each))]


def texts(root: tkinter.Misc) -> list[str]:
    """What a person can read on the screen."""
    return [str(each["text"]) for each in mapped(root) if isinstance(each, tkinter.Label | tkinter.Button) and each["text"]]


def cut_off(root: tkinter.Misc) -> list[str]:
    """Texts that do not lie wholly on the screen, or that have less room than they ask for."""
    wide, high = root.winfo_screenwidth(), root.winfo_screenheight()
    found = []
    for each in mapped(root):
        if isinstance(each, tkinter.Label | tkinter.Button):
            right, low = each.winfo_rootx() + each.winfo_reqwidth(), each.winfo_rooty() + each.winfo_reqheight()
            if each.winfo_rootx() < 0 or each.winfo_rooty() < 0 or right > wide or low > high:
                found.append(str(each["text"]))
    return found


def press(root: tkinter.Misc, key: str) -> str:
    """The focus after `key`."""
    focused = root.focus_get()
    assert focused is not None
    focused.event_generate(f"<{key}>")
    root.update()
    after = root.focus_get()
    return after.winfo_name() if after is not None else ""


def walk(root: tkinter.Misc) -> list[str]:
    return [press(root, "Tab") for _ in range(8)] + [press(root, "Right"), press(root, "Left")]


def keys(root: tkinter.Misc, desk: FaceDesk) -> dict[str, Any]:
    """Language, keyboard and power by the keyboard alone."""
    seen: dict[str, Any] = {}
    desk.bar.focus("language")
    seen["opened"] = press(root, "Return")  # the language in force has the focus
    seen["escaped"] = press(root, "Escape")
    press(root, "Return")
    press(root, "Down")
    seen["chosen"] = (press(root, "Return"), desk.words.language)
    desk.bar.focus("keyboard")
    seen["keyboards"] = [press(root, "Return"), press(root, "Down"), press(root, "space")]
    desk.bar.focus("poweroff")
    seen["asked"] = press(root, "Return")  # Cancel has the focus
    press(root, "Return")
    seen["cancelled"] = desk.bar.panel is None
    press(root, "Return")
    press(root, "Down")
    press(root, "Return")
    return seen


if __name__ == "__main__":
    main()
