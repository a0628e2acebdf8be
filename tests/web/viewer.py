# SPDX-License-Identifier: MIT
"""A small RFB viewer over a WebSocket, for tests: shakes hands, asks for pictures (Raw), types."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATIENCE_SECONDS = 60.0


def dial(url: str, cookie: str = "", *, origin: str | None = None, **headers: str) -> ClientConnection:
    """The WebSocket /console of the site at `url`; nothing is said yet. Raises InvalidStatus."""
    more = {"Cookie": cookie} if cookie else {}
    more |= {name.replace("_", "-"): value for name, value in headers.items()}
    return connect(
        url.replace("http", "ws", 1) + "/console",
        additional_headers=more,
        origin=origin,  # type: ignore[arg-type]
        max_size=None,
        open_timeout=PATIENCE_SECONDS,
        close_timeout=5,
        compression=None,
        proxy=None,
        ping_interval=None,
    ).__enter__()  # whoever dials closes: several lines live at once


def spend(line: ClientConnection, ticket: str) -> dict[str, Any]:
    """What the server says of the console; raises ConnectionClosed when it refuses."""
    line.send(json.dumps({"ticket": ticket}))
    return dict(json.loads(line.recv(PATIENCE_SECONDS)))


def ending(line: ClientConnection) -> tuple[int, str]:
    """How the server closed it."""
    with pytest.raises(ConnectionClosed) as closed:
        _hear_out(line)
    assert closed.value.rcvd is not None, closed
    return closed.value.rcvd.code, closed.value.rcvd.reason


def _hear_out(line: ClientConnection) -> None:
    while True:
        line.recv(PATIENCE_SECONDS)


class Viewer:
    """On a console that was opened."""

    def __init__(self, line: ClientConnection) -> None:
        self.line = line
        self._heard = b""
        assert self._read(12) == b"RFB 003.008\n"
        line.send(b"RFB 003.008\n")
        assert 1 in self._read(self._read(1)[0])
        line.send(b"\x01")
        assert self._read(4) == bytes(4)
        line.send(b"\x00")  # not shared: the server must not let that through
        self.width, self.height = struct.unpack(">HH", self._read(4))
        self._read(16)
        self.name = self._read(struct.unpack(">I", self._read(4))[0]).decode()
        line.send(bytes([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]))
        line.send(struct.pack(">BxH2i", 2, 2, 0, -223))

    def picture(self, *, again: bool = False) -> bytes:
        """The next update's pixels (of all its rectangles, one after the other); `again`: only when something changes."""
        self.line.send(struct.pack(">BBHHHH", 3, again, 0, 0, self.width, self.height))
        while True:
            kind = self._read(1)[0]
            if kind == 0:
                break
            assert kind in (1, 2, 3), kind
            if kind == 1:
                self._read(6 * struct.unpack(">xHH", self._read(5))[1])
            elif kind == 3:
                self._read(struct.unpack(">3xI", self._read(7))[0])
        pixels = b""
        for _ in range(struct.unpack(">xH", self._read(3))[0]):
            _, _, width, height, encoding = struct.unpack(">HHHHi", self._read(12))
            if encoding == -223:
                self.width, self.height = width, height
                continue
            assert encoding == 0, encoding
            pixels += self._read(width * height * 4)
        return pixels

    def key(self, keysym: int) -> None:
        for down in (1, 0):
            self.line.send(struct.pack(">BBxxI", 4, down, keysym))

    def type(self, text: str) -> None:
        for char in text:
            self.key(0xFF0D if char == "\n" else ord(char))

    def _read(self, count: int) -> bytes:
        while len(self._heard) < count:
            piece = self.line.recv(PATIENCE_SECONDS)
            assert isinstance(piece, bytes)
            self._heard += piece
        piece, self._heard = self._heard[:count], self._heard[count:]
        return piece
