# SPDX-License-Identifier: MIT
"""Is a foreign file fit to become a version? Reads its head only, follows no name in it, starts no program.

The format is told by the asker and never guessed. What a qcow2 header may point to (backing file, data file) is what leaked host
files in CVE-2015-5163, CVE-2022-47951 and CVE-2024-32498: such files are refused, whatever the pointer says.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from labvirt.disks.failure import translate
from labvirt.disks.qcow2_header import HEAD_BYTES, MAGIC, Incompatible, Qcow2Header, parse
from labvirt.errors import ImageDamaged, InvalidInput

LARGEST_VIRTUAL = 4 << 40
"""Bytes a guest may see on one disk: our own bound. A header of a few KiB can promise 2 EiB."""

_SECTOR = 512
_KNOWN_BITS = 0b11111
"""All of Incompatible, as a plain number: the complement of a flag keeps to the flags it knows."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, MAGIC, "qcow2"),
    (0, b"QED\0", "QED"),
    (0, b"# Disk DescriptorFile", "a VMDK descriptor"),
    (0, b"KDMV", "VMDK"),
    (0, b"COWD", "VMDK"),
    (0, b"vhdxfile", "VHDX"),
    (0, b"conectix", "VHD"),
    (0, b"LUKS\xba\xbe", "LUKS (encrypted)"),
    (0, b"WithoutFreeSpace", "Parallels"),
    (0, b"WithouFreSpacExt", "Parallels"),
    (0, b"Bochs Virtual HD Image", "Bochs"),
    (64, b"\x7f\x10\xda\xbe", "VDI"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"PK\x03\x04", "zip or OVA"),
    (257, b"ustar", "tar or OVA"),
)
"""Offset, bytes, name: a 'raw' disk that begins like this would be something else to the next program that guesses (CVE-2013-1922)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an accepted file is. `size_bytes` is its length, `virtual_bytes` what a guest sees."""

    format: str
    size_bytes: int
    virtual_bytes: int


def open_regular(path: Path, field: str = "source") -> int:
    """A read-only descriptor of a regular file. Never blocks and opens nothing else: no link, folder, pipe, device or socket.

    Raises InvalidInput that says what it is instead, DiskError. The caller closes the descriptor.
    """
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise InvalidInput(field, f"there is no file {path}", hint="Give the path of a disk image on this machine.") from error
    except ValueError as error:  # a NUL byte in the path
        raise InvalidInput(field, "is not a path") from error
    except OSError as error:
        raise translate(error, "open", str(path)) from error
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISLNK(mode):
            raise InvalidInput(field, f"{path} is a link", hint="Give the file that it points to.")
        if not stat.S_ISREG(mode):
            raise InvalidInput(field, f"{path} is {_kind(mode)}, not a file", hint="Give the path of a disk image on this machine.")
        # The very object that was looked at, by its descriptor: the name may point elsewhere by now.
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise translate(error, "open", str(path)) from error
    finally:
        os.close(handle)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def inspect(descriptor: int, *, format: str, name: str, largest: int = LARGEST_VIRTUAL, backing: bytes | None = None) -> Facts:
    """The facts of an acceptable file of the named format. With `backing`, a layer of ours: its header names exactly this file below it.

    Raises InvalidInput (the format is not one of ours, or not the file's), ImageDamaged (names `name` and what is wrong), OSError.
    """
    if format not in ("qcow2", "raw"):
        raise InvalidInput("format", "must be qcow2 or raw", hint="Convert other formats first: qemu-img convert -O qcow2 OLD NEW.")
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, HEAD_BYTES, 0)
    header = _header(head, name, backing) if format == "qcow2" else None
    virtual = header.virtual_bytes if header is not None else _raw(head, size, name)
    if virtual == 0:
        raise refused(name, "its disk has no size")
    if virtual > largest:
        raise refused(name, f"its disk would have {virtual >> 30} GiB, and {largest >> 30} GiB are the most that is accepted")
    if virtual % _SECTOR:
        raise refused(name, "its disk is not a whole number of sectors of 512 bytes")
    why = outside(header, size) if header is not None else None
    if why is not None:
        raise refused(name, *why)
    return Facts(format=format, size_bytes=size, virtual_bytes=virtual)


def _raw(head: bytes, size: int, name: str) -> int:
    if size == 0:
        raise refused(name, "it is empty")
    for offset, signature, kind in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            raise InvalidInput(
                "format",
                f"{name} is named raw but begins like {kind}",
                hint="Name its real format." if kind == "qcow2" else "Convert it first: qemu-img convert -f ITS-FORMAT -O qcow2 OLD NEW.",
            )
    return size


def _header(head: bytes, name: str, backing: bytes | None) -> Qcow2Header:
    for offset, signature, kind in _SIGNATURES[1:]:
        if head[offset : offset + len(signature)] == signature and head[: len(MAGIC)] != MAGIC:
            raise InvalidInput(
                "format",
                f"{name} is named qcow2 but begins like {kind}",
                hint="Convert it first: qemu-img convert -f ITS-FORMAT -O qcow2 OLD NEW.",
            )
    try:
        header = parse(head)
    except ImageDamaged as error:
        raise ImageDamaged(f"{name}: {error.sentence}", operation="inspect", subject=name, hint=error.hint) from error
    why = unwelcome(header, backing)
    if why is not None:
        raise refused(name, *why)
    return header


def unwelcome(header: Qcow2Header, backing: bytes | None = None) -> tuple[str, str] | None:
    """Why a file with this header is not accepted: (reason, what to do); None if it is. `backing` is the one name it must have below it."""
    bits = header.incompatible
    flatten = "Make it complete first: qemu-img convert -O qcow2 OLD NEW, where the files it needs are."
    if header.backing_file is None and backing is not None:
        return f"it should stand on {_shown(backing)} and stands on nothing", "Choose another version."
    if header.backing_file is not None and header.backing_file != backing:
        return f"it needs another file ({_shown(header.backing_file)})", flatten
    if header.data_file is not None or bits & Incompatible.DATA_FILE:
        return f"its data is in another file ({_shown(header.data_file or b'')})", flatten
    if header.encrypted:
        return "it is encrypted", "Decrypt it first: qemu-img convert with its secret."
    if bits & Incompatible.CORRUPT:
        return "it is marked as corrupt", "Take another copy of it."
    if bits & Incompatible.DIRTY:
        return "it was not closed properly", "Start and shut down the machine that wrote it, or look at it: qemu-img check."
    if bits & ~_KNOWN_BITS:
        return f"it uses features that are not known here (bits {bits & ~_KNOWN_BITS:#x})", "Convert it on the machine where it was made."
    if header.snapshots:
        return f"it holds {header.snapshots} internal snapshots", "Convert it first: qemu-img convert -O qcow2 OLD NEW."
    return None


def outside(header: Qcow2Header, size: int) -> tuple[str, str] | None:
    """Why the tables that the header names cannot be in a file of `size` bytes; None if they can."""
    again = "Copy it again: the copy may be cut short."
    if header.l1_entries < header.l1_needed:
        return "its L1 table is too small for its disk", again
    # The header is cluster 0, so no table can begin there.
    if header.l1_entries and (header.l1_offset == 0 or header.l1_offset + header.l1_entries * 8 > size):
        return "its L1 table lies outside the file", again
    if header.refcount_clusters == 0 or header.refcount_offset == 0 or header.refcount_offset >= size:
        return "its refcount table lies outside the file", again
    return None


def refused(name: str, why: str, hint: str = "") -> ImageDamaged:
    return ImageDamaged(f"{name} is not accepted: {why}.", operation="inspect", subject=name, hint=hint or "Take another copy of it.")


def _shown(raw: bytes) -> str:
    """A name out of a hostile file, for one line of text."""
    text = "".join(c if c.isprintable() else "?" for c in raw[:80].decode("utf-8", "replace"))
    return repr(text) if text else "not named"
