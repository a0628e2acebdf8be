# SPDX-License-Identifier: MIT
"""The little of tar that a backup needs (POSIX.1-1988 ustar): ordinary files with a name and a size. Pure.

Every tar program reads it. What it cannot say (links, devices, owners, long names, extended headers) cannot be asked of us either: anything
but an ordinary file is refused where it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.errors import InvalidInput

BLOCK = 512
END = bytes(2 * BLOCK)
_OCTAL_LARGEST = 8**11 - 1
_BINARY = 0x80
"""First byte of a size in base 256 (GNU, and everybody since): files of 8 GiB and more."""


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    size: int


def padding(size: int) -> int:
    """Bytes after the content, up to the next block."""
    return -size % BLOCK


def render(header: Header, *, mode: int = 0o600, mtime: int = 0) -> bytes:
    """One block. The name is ASCII of at most 255 characters, with a '/' in the right place if it has more than 100."""
    prefix, name = _split(header.name)
    block = bytearray(BLOCK)
    _put(block, 0, name)
    _put(block, 100, f"{mode:07o}")
    _put(block, 108, f"{0:07o}")
    _put(block, 116, f"{0:07o}")
    if header.size <= _OCTAL_LARGEST:
        _put(block, 124, f"{header.size:011o}")
    else:
        block[124:136] = bytes([_BINARY]) + header.size.to_bytes(11, "big")
    _put(block, 136, f"{mtime:011o}")
    block[148:156] = b" " * 8
    block[156:157] = b"0"
    _put(block, 257, "ustar")
    block[263:265] = b"00"
    _put(block, 345, prefix)
    _put(block, 148, f"{sum(block):06o}")
    block[155:156] = b" "
    return bytes(block)


def parse(block: bytes) -> Header | None:
    """The file that follows; None at the end. Raises InvalidInput for everything else."""
    if len(block) != BLOCK:
        raise _bad("it ends in the middle")
    if block == bytes(BLOCK):
        return None
    if sum(block[:148]) + 8 * 32 + sum(block[156:]) != _number(block[148:156]):
        raise _bad("a header has the wrong checksum")
    if block[257:262] != b"ustar":
        raise _bad("a header is of another kind of tar")
    if block[156:157] not in (b"0", b"\0"):
        raise _bad("it holds something that is no ordinary file")
    if any(block[157:257]):
        raise _bad("it holds a link")
    prefix, name = _text(block[345:500]), _text(block[:100])
    return Header(name=f"{prefix}/{name}" if prefix else name, size=_size(block[124:136]))


def _split(name: str) -> tuple[str, str]:
    if len(name) <= 100:
        return "", name
    place = name.rfind("/", 0, 156)
    if place <= 0 or len(name) - place - 1 > 100:
        raise ValueError(f"too long a name for ustar: {name}")
    return name[:place], name[place + 1 :]


def _put(block: bytearray, place: int, text: str) -> None:
    block[place : place + len(text)] = text.encode("ascii")


def _text(field: bytes) -> str:
    text, _, rest = field.partition(b"\0")
    if any(rest) or not text.isascii():
        raise _bad("a name in it is no plain text")
    return text.decode("ascii")


def _size(field: bytes) -> int:
    if field[0] & _BINARY:
        if field[0] != _BINARY:
            raise _bad("a size in it is negative")
        return int.from_bytes(field[1:], "big")
    return _number(field)


def _number(field: bytes) -> int:
    text = field.strip(b" \0")
    if not text or set(text) - set(b"01234567"):
        raise _bad("a number in it is none")
    return int(text, 8)


def _bad(why: str) -> InvalidInput:
    return InvalidInput("file", f"is not a backup of LabVirt, or is damaged: {why}")
