# SPDX-License-Identifier: MIT
"""What a browser says to a guest's screen, message by message (RFC 6143), and what of it goes through. Pure.

A view-only console drops keys, pointer and clipboard here, on the server. To know where each message ends, only messages that are
understood here may come at all: encodings that would bring others are struck out before the guest hears of them, and anything else ends
the console. Whoever looks never throws out the others: the shared flag is always set (7.3.1).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

VERSION_BYTES = 12
NO_PASSWORD = 1
"""Security type None (7.2.1): the socket is the proof."""

LONGEST_TEXT = 256 * 1024
MOST_ENCODINGS = 256
MOST_SCREENS = 64

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
SET_DESKTOP_SIZE = 251
QEMU = 255
"""rfbproto, "QEMU Client Message"; of its kinds only the extended key event (0) may come."""

INPUT = frozenset({KEY, POINTER, CUT_TEXT, SET_DESKTOP_SIZE, QEMU})
"""What changes the guest."""

ENCODINGS = frozenset(
    {
        *(0, 1, 2, 5, 6, 7, 16, 21, 50),  # Raw, CopyRect, RRE, Hextile, Zlib, Tight, ZRLE, JPEG, H.264
        *range(-32, -22),  # JPEG quality
        *range(-256, -246),  # compression
        *(-260, -223, -224, -239, 0x574D5664),  # TightPNG, DesktopSize, LastRect, Cursor, VMware's cursor
        *(-258, -261, -307, -308),  # QEMU's key event and LEDs, DesktopName, ExtendedDesktopSize
    }
)
"""Encodings that bring no message of the client but those above."""


class Refused(Exception):
    """This is not what a viewer says; the sentence is for people."""


class ClientStream:
    """The client's half of one conversation. `take` gives what goes through of the bytes that came."""

    def __init__(self, *, view_only: bool) -> None:
        self._view_only = view_only
        self._waiting = bytearray()
        self._next: Callable[[], bytes | None] = self._version
        self.dropped = 0
        """Messages that did not go through."""

    def take(self, data: bytes) -> bytes:
        """Whole messages only; the rest waits. Raises Refused, and nothing may be taken after that."""
        self._waiting += data
        through = bytearray()
        while (piece := self._next()) is not None:
            through += piece
        return bytes(through)

    def _cut(self, count: int) -> bytes | None:
        if len(self._waiting) < count:
            return None
        piece = bytes(self._waiting[:count])
        del self._waiting[:count]
        return piece

    def _version(self) -> bytes | None:
        """7.1.1. Older versions choose the security type otherwise; every viewer of this century knows 3.8."""
        piece = self._cut(VERSION_BYTES)
        if piece is not None:
            if piece not in (b"RFB 003.007\n", b"RFB 003.008\n"):
                raise Refused("This viewer speaks another protocol than RFB 3.8.")
            self._next = self._security
        return piece

    def _security(self) -> bytes | None:
        piece = self._cut(1)
        if piece is not None:
            if piece[0] != NO_PASSWORD:
                raise Refused("This viewer wants another kind of security.")
            self._next = self._init
        return piece

    def _init(self) -> bytes | None:
        piece = self._cut(1)
        if piece is None:
            return None
        self._next = self._message
        return b"\x01"

    def _message(self) -> bytes | None:
        length = self._length()
        piece = self._cut(length) if length else None
        if piece is None:
            return None
        if self._view_only and piece[0] in INPUT:
            self.dropped += 1
            return b""
        return _struck_out(piece) if piece[0] == SET_ENCODINGS else piece

    def _length(self) -> int:
        """Of the message that has begun; 0 while its beginning does not say yet."""
        waiting = self._waiting
        if not waiting:
            return 0
        kind = waiting[0]
        fixed = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, KEY: 8, POINTER: 6}.get(kind)
        if fixed is not None:
            return fixed
        if kind == SET_ENCODINGS:
            return 4 + 4 * self._count(2, ">H", MOST_ENCODINGS) if len(waiting) >= 4 else 0
        if kind == CUT_TEXT:
            return 8 + self._count(4, ">I", LONGEST_TEXT) if len(waiting) >= 8 else 0
        if kind == SET_DESKTOP_SIZE:
            return 8 + 16 * self._count(6, ">B", MOST_SCREENS) if len(waiting) >= 8 else 0
        if kind == QEMU and (len(waiting) < 2 or waiting[1] == 0):
            return 12
        raise Refused("This viewer says something that is not understood here.")

    def _count(self, at: int, form: str, most: int) -> int:
        count: int = struct.unpack_from(form, self._waiting, at)[0]
        if count > most:
            raise Refused("This viewer says more at once than is taken here.")
        return count


def _struck_out(piece: bytes) -> bytes:
    """SetEncodings with only those that are known here (7.5.2)."""
    wanted = struct.unpack(f">{(len(piece) - 4) // 4}i", piece[4:])
    kept = [each for each in wanted if each in ENCODINGS]
    return struct.pack(f">BxH{len(kept)}i", SET_ENCODINGS, len(kept), *kept)
