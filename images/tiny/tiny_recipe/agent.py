# SPDX-License-Identifier: MIT
"""QEMU's guest agent with the libraries it needs, as one archive that the guest unpacks after its boot."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

from labvirt_recipe import cpio

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB = 1, 5


def needed_libraries(program: bytes) -> list[str]:
    """The DT_NEEDED entries of a 64-bit little-endian ELF file (System V ABI, chapters 4 and 5)."""
    table, size, count = (*struct.unpack_from("<Q", program, 32), *struct.unpack_from("<HH", program, 54))
    parts = [struct.unpack_from("<IIQQQQ", program, table + size * number) for number in range(count)]
    (dynamic,) = (part for part in parts if part[0] == PT_DYNAMIC)
    entries = list(struct.iter_unpack("<QQ", program[dynamic[2] : dynamic[2] + dynamic[5]]))
    (names,) = (value for tag, value in entries if tag == DT_STRTAB)  # an address, found in the part that is loaded there
    (start,) = (part[2] + names - part[3] for part in parts if part[0] == PT_LOAD and part[3] <= names < part[3] + part[5])
    places = [start + value for tag, value in entries if tag == DT_NEEDED]
    return [program[place : program.index(b"\0", place)].decode() for place in places]


def agent_archive(unpacked: Path) -> bytes:
    """qemu-ga and the libraries it names, as an xz-compressed cpio archive; empty when one of them is in no package we know."""
    wanted: list[str] = ["qemu-ga"]
    files: cpio.Files = {}
    while wanted:
        name = wanted.pop()
        found = [file for file in unpacked.rglob(name) if file.is_file()]
        if not found:
            return b""
        data = found[0].read_bytes()
        # Programs look for their interpreter in /lib64, and Debian's interpreter looks for libraries in /lib, and not there.
        folder = "sbin" if name == "qemu-ga" else "lib64" if name.startswith("ld-linux") else "lib"
        files[f"{folder}/{name}"] = cpio.program(data)
        have = {Path(file).name for file in files}
        wanted += [each for each in needed_libraries(data) if each not in have and each not in wanted]
    return lzma.compress(cpio.archive_of(files), format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32)
