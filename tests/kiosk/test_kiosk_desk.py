# SPDX-License-Identifier: MIT
"""What the controller wishes, done to a real X server (Xvfb) by the real setxkbmap, xset and xrandr; and a whole kiosk that hears it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kiosk.test_kiosk_face import screen

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("Xvfb", "setxkbmap", "xset", "xrandr")),
    reason="needs Debian's xvfb, x11-xkb-utils and x11-xserver-utils",
)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with screen.open_screen(1024, 768) as opened:
        monkeypatch.setenv("DISPLAY", opened.display)
        yield opened.display


def told(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_real_x_server_does_as_wished_and_what_it_cannot_do_is_a_line(
    display: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from labvirt_kiosk import screens
    from labvirt_kiosk.choices import ChoiceStore
    from labvirt_kiosk.desk import Desk
    from labvirt_kiosk.status_line import StatusLine
    from labvirt_kiosk.wishes import Wishes

    status = StatusLine(file=tmp_path / "status.json", output=os.open("/dev/null", os.O_WRONLY))
    desk = Desk(ChoiceStore(tmp_path), status, has_display=True)
    desk.hear(Wishes(keyboard="es", language="es", idle_off_minutes=7, allowed=("restart-guest",)))
    assert "layout:     es" in told("setxkbmap", "-query")
    assert "timeout:  420" in told("xset", "q")
    kept = json.loads((tmp_path / "status.json").read_text())
    assert (kept["language"], kept["allowed"]) == ("es", ["restart-guest"])
    desk.hear(Wishes(keyboard="fr", idle_off_minutes=0))
    assert "layout:     fr" in told("setxkbmap", "-query")
    assert "timeout:  0" in told("xset", "q")
    [only] = screens.query()
    assert "1024x768" in only.modes
    desk.hear(Wishes(resolution="7680x4320", screens="two-extend"))
    desk.before_viewer("rdp")
    said = capfd.readouterr().err
    assert "Two screens are wished, and only one is plugged in" in said
    assert "No screen here knows the resolution 7680x4320" in said
    assert "current 1024 x 768" in told("xrandr", "--query")


def test_a_server_that_is_gone_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from labvirt_kiosk.choices import ChoiceStore
    from labvirt_kiosk.desk import Desk
    from labvirt_kiosk.status_line import StatusLine
    from labvirt_kiosk.wishes import Wishes

    monkeypatch.setenv("DISPLAY", ":4711")
    status: Any = StatusLine(file=None, output=os.open("/dev/null", os.O_WRONLY))
    desk = Desk(ChoiceStore(tmp_path), status, has_display=True)
    desk.hear(Wishes(keyboard="es", screens="two-mirror"))
    desk.before_viewer("rdp")
    assert "setxkbmap could not set the keyboard" in capfd.readouterr().err
    assert "the arrangement of the screens" in status.status.last_error
