# SPDX-License-Identifier: MIT
"""What goes through of a viewer's words: everything of who may type, and of who may only look nothing that changes the guest."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.web.console.rfb import ClientStream, Refused

HELLO = b"RFB 003.008\n" + b"\x01" + b"\x00"
GREETED = b"RFB 003.008\n" + b"\x01" + b"\x01"
"""As the guest hears it: the screen is always shared."""

FORMAT = bytes([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])
UPDATE = struct.pack(">BBHHHH", 3, 1, 0, 0, 640, 400)
KEY = struct.pack(">BBxxI", 4, 1, 0x61)
POINTER = struct.pack(">BBHH", 5, 1, 10, 10)
CUT = struct.pack(">BxxxI", 6, 5) + b"hello"
SIZE = struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16)
QEMU_KEY = struct.pack(">BBHII", 255, 0, 1, 0x61, 30)
KNOWN = struct.pack(">BxH3i", 2, 3, 7, 0, -258)
LOOKS = [FORMAT, UPDATE, KNOWN]
ACTS = [KEY, POINTER, CUT, SIZE, QEMU_KEY]


@given(st.lists(st.sampled_from(LOOKS + ACTS), max_size=30), st.data())
def test_cut_anywhere_the_same_goes_through(messages: list[bytes], data: st.DataObject) -> None:
    whole = HELLO + b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    looking, typing = ClientStream(view_only=True), ClientStream(view_only=False)
    assert b"".join(typing.take(each) for each in pieces) == GREETED + b"".join(messages)
    assert b"".join(looking.take(each) for each in pieces) == GREETED + b"".join(each for each in messages if each in LOOKS)
    assert looking.dropped == sum(each in ACTS for each in messages)


def test_a_message_waits_until_it_is_whole() -> None:
    stream = ClientStream(view_only=False)
    assert stream.take(HELLO + KEY[:3]) == GREETED
    assert stream.take(KEY[3:]) == KEY


def test_encodings_that_bring_other_messages_are_struck_out() -> None:
    """xvp, fence, continuous updates, extended mouse and clipboard, QEMU's audio."""
    stream = ClientStream(view_only=True)
    told = struct.pack(">BxH8i", 2, 8, 7, -309, -312, -313, -316, -1063131698, -259, 0)
    assert stream.take(HELLO + told) == GREETED + struct.pack(">BxH2i", 2, 2, 7, 0)


@pytest.mark.parametrize(
    "words",
    [
        *(b"RFB 003.003\n", b"GET / HTTP/1", b"RFB 003.008\n\x02", b"RFB 003.008\n\x13"),
        *(HELLO + bytes([kind]) + bytes(20) for kind in (1, 7, 150, 248, 250, 254)),
        HELLO + bytes([255, 1, 0, 0]),  # QEMU's audio
        HELLO + struct.pack(">BxxxI", 6, 0xFFFFFFFF),
        HELLO + struct.pack(">BxxxI", 6, 256 * 1024 + 1),
        HELLO + struct.pack(">BxH", 2, 257),
        HELLO + struct.pack(">BxHHBx", 251, 1, 1, 65),
    ],
)
@pytest.mark.parametrize("view_only", [True, False])
def test_what_is_not_understood_ends_it(words: bytes, view_only: bool) -> None:
    with pytest.raises(Refused):
        ClientStream(view_only=view_only).take(words)
