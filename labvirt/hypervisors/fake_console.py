# SPDX-License-Identifier: MIT
"""Screens and serial lines of guests that do not exist: a small RFB server (RFC 6143, Raw only) that shows what is typed, and a login
prompt that nobody gets past. Each console is served by a thread of its own, and ends with the process.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 640, 400
LOOK_SECONDS = 0.5
"""So often is looked whether the run still is."""
SEND_SECONDS = 30.0
MOST_TYPED = 200

_FORMAT = struct.Struct(">BBBBHHHBBB3x")
_TRUE_COLOUR = (32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class FakeScreens:
    """What was typed into each run, which all of its screens show."""

    def __init__(self, picture: Callable[[str], Image.Image | None]) -> None:
        """`picture` is the run's screen; None when the run has ended."""
        self._picture = picture
        self._typed: dict[str, str] = {}
        self._painted: dict[str, tuple[Image.Image, str, Image.Image]] = {}
        """Run -> its picture, what was typed, both together: drawn again only when one of them is another."""

    def typed(self, run: str) -> str:
        return self._typed.get(run, "")

    def type(self, run: str, text: str) -> None:
        self._typed[run] = (self.typed(run) + text)[-MOST_TYPED:]

    def image(self, run: str) -> Image.Image | None:
        """The screen now, with what was typed."""
        picture, typed = self._picture(run), self.typed(run)
        if picture is None:
            self._painted.pop(run, None)
            return None
        known = self._painted.get(run)
        if known is None or known[0] is not picture or known[1] != typed:
            image = picture.copy()
            ImageDraw.Draw(image).text((24, 180), f"> {typed}", fill=(255, 255, 160), font_size=24)
            known = self._painted[run] = (picture, typed, image)
        return known[2]


def open_screen(screens: FakeScreens, run: str) -> int:
    """A descriptor at whose other end such a screen is."""
    return _served(lambda end: _Screen(screens, run, end).serve(), "fake-screen")


def open_serial(run: str, guest: str, alive: Callable[[str], bool]) -> int:
    """A descriptor at whose other end such a serial line is."""
    return _served(lambda end: _answer(end, run, guest, alive), "fake-serial")


def _served(serve: Callable[[socket.socket], None], name: str) -> int:
    ours, theirs = socket.socketpair()
    ours.settimeout(LOOK_SECONDS)

    def work() -> None:
        with ours:
            try:
                serve(ours)
            except OSError:
                return  # the viewer has gone

    threading.Thread(target=work, name=name, daemon=True).start()
    return theirs.detach()


def _answer(end: socket.socket, run: str, guest: str, alive: Callable[[str], bool]) -> None:
    prompt = f"\r\n{guest} login: ".encode()
    end.sendall(f"\r\nA pretended guest, {run}.\r\n".encode() + prompt)
    while alive(run):
        try:
            typed = end.recv(1024)
        except TimeoutError:
            continue
        if not typed:
            return
        end.sendall(b"".join(b"\r\nLogin incorrect\r\n" + prompt if each in b"\r\n" else bytes([each]) for each in typed))


class _Gone(OSError):
    pass


class _Screen:
    """One viewer."""

    def __init__(self, screens: FakeScreens, run: str, end: socket.socket) -> None:
        self._screens = screens
        self._run = run
        self._end = end
        self._shifts = _TRUE_COLOUR[7:10]
        self._shown = ""
        self._owed = False
        self._sent: tuple[Image.Image, tuple[int, ...], bytes] | None = None

    def serve(self) -> None:
        self._send(b"RFB 003.008\n")
        self._read(12)
        self._send(b"\x01\x01")  # one kind of security: none
        self._read(1)
        self._send(struct.pack(">I", 0))
        self._read(1)
        name = self._run.encode()
        self._send(struct.pack(">HH", WIDTH, HEIGHT) + _FORMAT.pack(*_TRUE_COLOUR) + struct.pack(">I", len(name)) + name)
        while True:
            self._hear(self._read(1)[0])

    def _hear(self, kind: int) -> None:
        if kind == 0:
            told = _FORMAT.unpack(self._read(19)[3:])
            self._shifts = told[7:10]
        elif kind == 2:
            self._read(4 * struct.unpack(">xH", self._read(3))[0])
        elif kind == 3:
            again = self._read(9)[0]
            self._owed = True
            self._show(force=not again)
        elif kind == 4:
            down, key = struct.unpack(">B2xI", self._read(7))
            if down and 0x20 <= key < 0x7F:
                self._screens.type(self._run, chr(key))
            self._show()
        elif kind == 5:
            self._read(5)
        elif kind == 6:
            self._read(struct.unpack(">3xI", self._read(7))[0])
        else:
            raise _Gone

    def _show(self, *, force: bool = False) -> None:
        image = self._screens.image(self._run)
        if image is None:
            raise _Gone
        if not self._owed or not (force or self._screens.typed(self._run) != self._shown):
            return
        self._owed, self._shown = False, self._screens.typed(self._run)
        if self._sent is None or self._sent[0] is not image or self._sent[1] != self._shifts:
            bands = dict(zip(self._shifts, image.convert("RGB").split(), strict=True))
            empty = Image.new("L", image.size)
            pixels = Image.merge("RGBA", [bands.get(shift, empty) for shift in (0, 8, 16, 24)]).tobytes()
            self._sent = (image, self._shifts, struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + pixels)
        self._send(self._sent[2])

    def _send(self, data: bytes) -> None:
        self._end.settimeout(SEND_SECONDS)
        self._end.sendall(data)
        self._end.settimeout(LOOK_SECONDS)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self._end.recv(count - len(data))
            except TimeoutError:
                self._show()  # somebody else may have typed, or the run ended
                continue
            if not piece:
                raise _Gone
            data += piece
        return data
