# SPDX-License-Identifier: MIT
"""A screen of the test's own (Xvfb), its picture, and the states that a face can be in."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from labvirt.demo.picture import read_frame_buffer

LEASH = Path(__file__).resolve().parents[2] / "kiosk" / "labvirt_kiosk" / "leash.py"
SIZES = ((1280, 800), (1024, 768), (640, 480))

_ME: dict[str, Any] = {
    "controller": "http://labvirt/",
    "id": "52:54:00:12:34:56",
    "kiosk": "0.1.0",
    "lab": "lab-a",
    "seat": 7,
    "guest": "lab-a-07",
}

STATES: dict[str, dict[str, Any]] = {
    "asking": {"state": "asking", "message": "Asking http://labvirt/ what this seat shows", "lab": None, "seat": None},
    "starting": {"state": "waiting", "message": "Your computer is being started. [LV-START-07]", "help_code": "LV-START-07",
                 "waits_for": "the engine", "expect_at": "2026-01-01T12:00:04Z"},
    "full": {"state": "waiting", "message": "All computers are in use. You are in the queue. [LV-FULL-07]", "help_code": "LV-FULL-07",
             "waits_for": "memory of the host", "notice": "The lesson ends at 12:00."},
    "failed": {"state": "waiting", "help_code": "LV-FAILED-07",
               "message": "Your computer could not be started: the image debian-desktop is broken. [LV-FAILED-07]"},
    "unknown": {"state": "unknown", "message": "This terminal is not known yet. "
                "Tell your administrator the code K7WQ2M. [LV-UNKNOWN-K7WQ2M]", "help_code": "LV-UNKNOWN-K7WQ2M",
                "enrolment_code": "K7WQ2M", "lab": None, "seat": None},
    "connecting": {"state": "connecting", "message": "Connecting to lab-a-07"},
    "retrying": {"state": "retrying", "message": "remote-viewer ended after 0.3 s (exit code 1): cannot open display, trying again in 2 s"},
    "away": {"state": "away", "message": "The controller http://labvirt/ does not answer since 12:03 (connection refused: "
             "the machine is there, the controller is not running), trying again in 8 s"},
    "refused": {"state": "refused", "message": "The program rdesktop is not installed on this terminal; tell your administrator, "
                "trying again in 1 s"},
    "long": {"state": "away", "lab": "l" * 64, "controller": "http://controller.of-the-faculty.example.org:8080/labvirt/",
             "message": "The controller http://controller.of-the-faculty.example.org:8080/labvirt/ gives no usable answer since 12:03 "
             "(it redirects to http://proxy.example.org/a/very/long/path/" + "x" * 60 + "; redirects are not followed, "
             "give the final address instead), trying again in 58 s", "notice": "Everything is saved at noon. " * 6},
    "viewing": {"state": "viewing", "message": "Showing lab-a-07 (seat 7)", "notice": "Time is up in 5 minutes. Keep your work on H:."},
}  # fmt: skip
"""Status files as the kiosk writes them, one for each thing that a person may see."""
for _state in STATES.values():
    for _key, _value in _ME.items():
        _state.setdefault(_key, _value)


@dataclass
class Screen:
    """A running Xvfb."""

    display: str
    folder: Path

    def picture(self) -> Image.Image | None:
        """What is on it now."""
        return read_frame_buffer(self.folder / "Xvfb_screen0")


@contextlib.contextmanager
def open_screen(width: int, height: int) -> Iterator[Screen]:
    """A screen without a window manager; gone afterwards."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="labvirt-screen-") as folder:
        argv = [
            *(sys.executable, "-I", "-S", str(LEASH), str(os.getpid())),  # a test run that is killed leaves no screen
            shutil.which("Xvfb") or "Xvfb",
            "-displayfd",
            str(writing),
            "-screen",
            "0",
            f"{width}x{height}x24",
            "-fbdir",
            folder,
            "-nolisten",
            "tcp",
            "-noreset",
        ]
        with subprocess.Popen(
            argv, pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as xvfb:
            os.close(writing)
            try:
                with os.fdopen(reading) as said:
                    number = said.readline().strip()  # Xvfb writes it when clients may come; an early end closes the pipe
                if not number:
                    raise RuntimeError("Xvfb does not start")
                yield Screen(display=f":{number}", folder=Path(folder))
            finally:
                xvfb.terminate()


def kiosk_on_path() -> None:
    """`labvirt_kiosk` can be imported."""
    kiosk = str(Path(__file__).resolve().parents[2] / "kiosk")
    if kiosk not in sys.path:
        sys.path.insert(0, kiosk)
