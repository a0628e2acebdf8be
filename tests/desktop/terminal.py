# SPDX-License-Identifier: MIT
"""A terminal: a screen of its own, and the viewer that the kiosk program would start, with the kiosk's own command line."""

from __future__ import annotations

import os
import subprocess
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.kiosk.screen import Screen, kiosk_on_path

kiosk_on_path()

from labvirt_kiosk.answer import Answer  # noqa: E402
from labvirt_kiosk.installed import find  # noqa: E402
from labvirt_kiosk.ticket import Ticket  # noqa: E402
from labvirt_kiosk.viewer_command import render  # noqa: E402


class Viewer:
    """FreeRDP on this screen, until close(). The password goes to its standard input and into no argument."""

    def __init__(self, screen: Screen, port: int, user: str, secret: str, fingerprint: str, log: Path) -> None:
        os.environ["DISPLAY"] = screen.display  # FreeRDP 2 tells its version only on a display
        where = {"guest": "desktop", "address": "127.0.0.1", "port": port}
        arguments = (f"/v:127.0.0.1:{port}", "/w:1280", "/h:800", "+clipboard")
        answer = Answer(status="ready", message="", protocol="rdp", program="xfreerdp", arguments=arguments, needs_ticket=True, **where)
        ticket = Ticket(user=user, secret=secret, expires_seconds=60, fingerprint=fingerprint, **where)
        command = render(answer, find("xfreerdp"), ticket, None)
        assert all(secret not in word for word in command.argv)
        self._log = log.open("wb")
        self._process = subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log)
        assert self._process.stdin is not None
        self._process.stdin.write(command.standard_input.encode())
        self._process.stdin.close()

    def ended(self) -> int | None:
        """Its exit code, if it has ended."""
        return self._process.poll()

    def said(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def words(picture: Image.Image) -> str:
    """What a person can read on it, by OCR without blanks: the large letters from a small copy, the small ones from a large one."""
    grey = picture.convert("L")
    return "".join(_read(grey.resize((int(grey.width * scale), int(grey.height * scale)))) for scale in (0.35, 2.0))


def _read(picture: Image.Image) -> str:
    stream = BytesIO()
    picture.save(stream, format="png")
    done = subprocess.run(["tesseract", "-", "-", "--psm", "11"], input=stream.getvalue(), capture_output=True, check=True)
    return "".join(done.stdout.decode().split())


def colours(picture: Image.Image) -> int:
    """How many colours it has: one or two when it is blank."""
    return len(picture.convert("RGB").quantize(256).getcolors() or [])
