# SPDX-License-Identifier: MIT
"""A program of some hundred bytes, from a listing: the guest has no compiler, and this recipe needs none. For Linux on x86-64."""

from __future__ import annotations

import struct

ADDRESS = 0x400000
HEADERS = 64 + 56


def static_program(listing: str, data: bytes = b"") -> bytes:
    """A static ELF file: its header, one segment that is loaded readable and executable, and the code with `data` behind it (System V
    ABI, chapters 4 and 5). `listing`: the bytes of each instruction in hexadecimal, a blank, and what they mean, as GNU as writes them."""
    code = bytes.fromhex("".join(line.split(maxsplit=1)[0] for line in listing.splitlines() if line)) + data
    entry = ADDRESS + HEADERS
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64 bits, little-endian, version 1
    header = struct.pack("<16sHHIQQQIHHHHHH", identity, 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = HEADERS + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, 0x1000)
    return header + segment + code
