# SPDX-License-Identifier: MIT
"""The face on a real screen: sentences in five languages, keyboard, the notice over a viewer, and a face that is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or importlib.util.find_spec("_tkinter") is None, reason="needs Debian's xvfb and python3-tk"
)

RED = (200, 30, 30)
CARD = (0x1B, 0x25, 0x33)
GROUND = (0x10, 0x16, 0x1F)
VIEWER = f"""# A viewer that fills the screen with red, as a full-screen viewer does without a window manager.
import tkinter
root = tkinter.Tk()
root.overrideredirect(True)
root.geometry(f"{{root.winfo_screenwidth()}}x{{root.winfo_screenheight()}}+0+0")
root.configure(background="#{RED[0]:02x}{RED[1]:02x}{RED[2]:02x}")
root.mainloop()
"""


def _screen_module() -> Any:
    spec = importlib.util.spec_from_file_location("labvirt_test_screen", HERE / "screen.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


screen = _screen_module()


@pytest.fixture
def shown() -> Iterator[Any]:
    with screen.open_screen(1024, 768) as opened:
        yield opened


def at(shown: Any, x: int, y: int) -> tuple[int, int, int] | None:
    picture = shown.picture()
    return None if picture is None else picture.getpixel((x, y))


@pytest.mark.parametrize("size", screen.SIZES, ids=str)
def test_every_state_is_read_in_every_language_and_walked_by_the_keyboard(size, tmp_path, stub) -> None:
    for name in ("amixer", "systemctl", "setxkbmap"):
        stub.install(name)
    with screen.open_screen(*size) as opened:
        environment = {**os.environ, "DISPLAY": opened.display, "PATH": f"{stub.bin}:/usr/bin:/bin"}
        argv = [sys.executable, str(HERE / "face_walk.py"), str(tmp_path), str(opened.folder)]
        told = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    seen = json.loads(told.stdout)
    assert seen["cut"] == []
    assert min(seen["colours"].values()) > 20  # text and its edges; a blank screen has one
    texts = seen["texts"]
    assert "Your computer is being started." in texts["en starting"]
    assert "Ready in about 4 seconds" in texts["en starting"]
    assert "Připraveno asi za 4 sekundy" in texts["cs starting"]
    assert "Готово примерно через 4 секунды" in texts["ru starting"]
    assert "Todos los ordenadores están ocupados. Está usted en la cola." in texts["es full"]
    assert "The lesson ends at 12:00." in texts["en full"]
    assert "Code d'aide : LV-AWAY-07" in texts["fr away"]
    assert "Новая попытка через 1 секунду" in texts["ru refused"]
    assert all("K7WQ2M" in texts[f"{language} unknown"] for language in ("en", "es", "fr", "cs", "ru"))
    assert any("52:54:00:12:34:56" in text and "10.77.0.107" in text for text in texts["en asking"])
    assert "Time is up in 5 minutes. Keep your work on H:." in texts["en viewing"]
    assert "Keyboard" not in texts["en viewing"]
    assert seen["walk"][:7] == ["keyboard", "quieter", "louder", "restart", "poweroff", "language", "keyboard"]
    assert seen["keys"] == {
        "opened": "en",
        "escaped": "language",
        "chosen": ["language", "es"],
        "keyboards": ["us", "gb", "keyboard"],
        "asked": "cancel",
        "cancelled": True,
    }
    assert seen["ran"] == [
        [f"{stub.bin}/setxkbmap", "-option", "", "-layout", "gb"],
        [sys.executable, str(HERE.parents[1] / "kiosk" / "labvirt-kiosk"), "--leave", "shutdown"],
    ]
    assert seen["viewing"] == {"banner": True, "bar": False}
    assert json.loads((tmp_path / "choices.json").read_text()) == {"language": "es", "keyboard": "gb"}


def test_what_this_terminal_cannot_do_has_no_button(tmp_path, shown) -> None:
    """Without setxkbmap, a mixer and the permission for power, the language is left."""
    code = (
        "import sys, tkinter; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from labvirt_kiosk.choices import ChoiceStore\n"
        "from labvirt_kiosk.face_desk import FaceDesk\n"
        "desk = FaceDesk(tkinter.Tk(), ChoiceStore(Path(sys.argv[2])), language='fr', power_allowed=False)\n"
        "print([button['text'] for button in desk.bar.buttons])"
    )
    environment = {**os.environ, "DISPLAY": shown.display, "PATH": str(tmp_path)}
    argv = [sys.executable, "-c", code, str(HERE.parents[1] / "kiosk"), str(tmp_path)]
    assert subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout.strip() == "['Français']"


def test_the_notice_lies_over_the_viewer_and_a_killed_face_comes_back(controller, start_kiosk, stub, shown, eventually, alive) -> None:
    (stub.folder / "viewer.py").write_text(VIEWER)
    (stub.bin / "remote-viewer").write_text(f"#!/bin/sh\nexec '{sys.executable}' '{stub.folder}/viewer.py'\n")
    kiosk = start_kiosk(DISPLAY=shown.display, LABVIRT_LANGUAGE="cs")
    kiosk.until("waiting")
    eventually(lambda: at(shown, 1000, 400) == GROUND, "the face fills the screen")
    controller.ready(notice="Time is up in 5 minutes.")
    viewer = kiosk.until("viewing")["viewer_pid"]
    eventually(lambda: at(shown, 1000, 400) == RED, "the viewer over the face")
    eventually(lambda: CARD in {at(shown, x, 30) for x in range(300, 724, 4)}, "the banner over the viewer")
    face = eventually(lambda: kiosk.status()["face_pid"], "the face's pid")
    os.kill(face, signal.SIGKILL)
    again = eventually(lambda: now if (now := kiosk.status()["face_pid"]) not in (None, face) else None, "another face")
    eventually(lambda: CARD in {at(shown, x, 30) for x in range(300, 724, 4)}, "the banner of the new face")
    assert at(shown, 1000, 400) == RED
    assert kiosk.status()["viewer_pid"] == viewer
    assert alive(viewer)
    controller.change(status="full", message="Full.")  # so that no viewer comes again
    os.kill(viewer, signal.SIGTERM)
    eventually(lambda: at(shown, 1000, 400) == GROUND, "the face when the viewer has ended")
    assert kiosk.end(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not alive(again), "the end of the face of a dead kiosk")


def test_a_face_that_makes_a_mistake_ends_so_that_a_fresh_one_comes(tmp_path, shown) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from labvirt_kiosk import face_desk, face_program\n"
        "def wrong(*_): raise RuntimeError('a mistake')\n"
        "face_desk.view_of = wrong\n"
        "sys.exit(face_program.main(['--status-file', sys.argv[2], '--state', sys.argv[2]]))"
    )
    argv = [sys.executable, "-c", code, str(HERE.parents[1] / "kiosk"), str(tmp_path)]
    told = subprocess.run(argv, env={**os.environ, "DISPLAY": shown.display}, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "RuntimeError: a mistake" in told.stderr


def test_without_tk_there_is_a_word_and_no_second_try(tmp_path, monkeypatch, eventually) -> None:
    from labvirt_kiosk import face_keeper, face_program

    monkeypatch.setitem(sys.modules, "tkinter", None)  # as on a terminal without python3-tk
    assert face_program.main(["--status-file", str(tmp_path / "s"), "--state", str(tmp_path)]) == face_keeper.NO_FACE
    said: list[tuple[int | None, str]] = []
    keeper = face_keeper.FaceKeeper([], lambda pid, reason: said.append((pid, reason)), tmp_path / "face.log")
    keeper._argv = ["/bin/sh", "-c", f"echo no tkinter >&2; exit {face_keeper.NO_FACE}"]
    keeper.start()
    eventually(lambda: not keeper._thread.is_alive(), "the end of the keeper's thread")
    assert "python3-tk" in said[-1][1]
    assert (tmp_path / "face.log").read_text() == "no tkinter\n"
    keeper.stop()


def test_a_kiosk_that_ends_takes_its_face_with_it(start_kiosk, shown, eventually, alive) -> None:
    kiosk = start_kiosk(DISPLAY=shown.display)
    face = eventually(lambda: kiosk.status().get("face_pid"), "the face's pid")
    assert kiosk.end() == 0
    assert not alive(face)
    assert kiosk.status()["state"] == "stopped"


def test_without_a_display_or_by_wish_there_is_no_face(start_kiosk, shown) -> None:
    kiosk = start_kiosk(DISPLAY=shown.display, LABVIRT_NO_FACE="1")
    assert kiosk.until("waiting")["face_pid"] is None
    assert kiosk.end() == 0


def test_a_face_that_cannot_reach_its_screen_does_not_hold_the_kiosk(controller, start_kiosk, eventually) -> None:
    kiosk = start_kiosk(DISPLAY=":987654")
    eventually(lambda: "The face ended" in (kiosk.status().get("face_error") or ""), "the word about the face")
    controller.ready()
    kiosk.until("viewing")
    assert kiosk.end() == 0
