# SPDX-License-Identifier: MIT
"""The qcow2 header as a value, and the bytes of an empty disk or overlay. Pure: bytes in, bytes out.

Source of every number: docs/interop/qcow2.txt of QEMU (versions 2 and 3). Whether a header is *welcome* is decided in
inspection.py; here it is only read, and refused when it is not a header at all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

from labvirt.errors import ImageDamaged

MAGIC = b"QFI\xfb"
HEAD_BYTES = 65536
"""How much of a file `parse` wants to see: one cluster of the usual size, which holds header, extensions and backing file name."""

_FIXED = struct.Struct(">4sIQIIQIIQQIIQ")  # 72 bytes: all of version 2
_FEATURES = struct.Struct(">QQQII")  # bytes 72 to 104 of version 3
_EXTENSION = struct.Struct(">II")

_END = 0x00000000
_BACKING_FORMAT = 0xE2792ACA
_DATA_FILE = 0x44415441
_ENCRYPTION = 0x0537BE77

_LONGEST_NAME = 1023
_BACKING_SIZE_AT = 16
"""Where the header keeps the length of the backing file's name: 4 bytes."""
_LARGEST_L1 = 32 << 20
"""Bytes of an L1 table (QCOW_MAX_L1_SIZE in block/qcow2.h)."""
_OVERLAY_CLUSTER_BITS = 16
LARGEST_OVERLAY = 1 << 50
"""Virtual bytes. One refcount block of the overlay's geometry counts far more clusters than its tables need up to here."""


class Incompatible(IntFlag):
    """Bits that a reader has to understand."""

    DIRTY = 1
    CORRUPT = 2
    DATA_FILE = 4
    COMPRESSION = 8
    EXTENDED_L2 = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcow2Header:
    """What a header says. `backing_file` and `data_file` are kept as bytes: they are only shown, never opened."""

    version: int
    virtual_bytes: int
    cluster_bits: int
    backing_file: bytes | None
    backing_format: str | None
    data_file: bytes | None
    encrypted: bool
    snapshots: int
    incompatible: int
    backing_offset: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int

    @property
    def l1_needed(self) -> int:
        """Entries that the virtual size needs. An L2 table fills one cluster; its entries have 8 bytes, extended ones 16."""
        entry_bits = 4 if self.incompatible & Incompatible.EXTENDED_L2 else 3
        covered = 1 << (2 * self.cluster_bits - entry_bits)
        return -(-self.virtual_bytes // covered)


def parse(head: bytes) -> Qcow2Header:
    """The header at the start of `head` (the first HEAD_BYTES of the file, or all of a shorter one).

    Raises ImageDamaged that says what is wrong with it. Reads nothing but `head` and follows no name in it.
    """
    if head[:4] != MAGIC:
        raise _damaged("it does not begin with the signature of qcow2")
    if len(head) < _FIXED.size:
        raise _damaged("it ends inside its header")
    (
        _,
        version,
        backing_offset,
        backing_size,
        cluster_bits,
        virtual_bytes,
        encryption,
        l1_entries,
        l1_offset,
        refcount_offset,
        refcount_clusters,
        snapshots,
        _snapshots_offset,
    ) = _FIXED.unpack_from(head)
    if version not in (2, 3):
        raise _damaged(f"its qcow2 version is {version}, not 2 or 3")
    if not 9 <= cluster_bits <= 21:
        raise _damaged(f"its cluster size of 2^{cluster_bits} is not allowed")
    incompatible, length = 0, _FIXED.size
    if version == 3:
        if len(head) < _FIXED.size + _FEATURES.size:
            raise _damaged("it ends inside its header")
        incompatible, _compatible, _autoclear, refcount_order, length = _FEATURES.unpack_from(head, _FIXED.size)
        if length < _FIXED.size + _FEATURES.size or length % 8 or length > min(1 << cluster_bits, len(head)):
            raise _damaged(f"its header length of {length} is not possible")
        if refcount_order > 6:
            raise _damaged("its reference counters are wider than 64 bits")
    if l1_entries * 8 > _LARGEST_L1:
        raise _damaged("its L1 table is larger than 32 MiB")
    if (l1_offset | refcount_offset) & ((1 << cluster_bits) - 1):
        raise _damaged("its tables do not begin at a cluster")
    extensions = _extensions(head, length, backing_offset or min(1 << cluster_bits, len(head)))
    backing_format = extensions.get(_BACKING_FORMAT)
    return Qcow2Header(
        version=version,
        virtual_bytes=virtual_bytes,
        cluster_bits=cluster_bits,
        backing_file=_name(head, backing_offset, backing_size, 1 << cluster_bits),
        backing_format=backing_format.decode("ascii", "replace") if backing_format is not None else None,
        data_file=extensions.get(_DATA_FILE, b"" if incompatible & Incompatible.DATA_FILE else None),
        encrypted=encryption != 0 or _ENCRYPTION in extensions,
        snapshots=snapshots,
        incompatible=incompatible,
        backing_offset=backing_offset,
        l1_entries=l1_entries,
        l1_offset=l1_offset,
        refcount_offset=refcount_offset,
        refcount_clusters=refcount_clusters,
    )


def _name(head: bytes, offset: int, size: int, cluster: int) -> bytes | None:
    if offset == 0:
        return None
    if size > _LONGEST_NAME or offset + size > min(cluster, len(head)):
        raise _damaged("the name of its backing file lies outside its first cluster")
    return head[offset : offset + size]


def _extensions(head: bytes, start: int, end: int) -> dict[int, bytes]:
    """Kind -> content. The area ends at the kind 0, at the backing file's name or at the end of the cluster."""
    found: dict[int, bytes] = {}
    end = min(end, len(head))
    at = start
    while at + _EXTENSION.size <= end:
        kind, size = _EXTENSION.unpack_from(head, at)
        at += _EXTENSION.size
        if kind == _END:
            break
        if size > end - at:
            raise _damaged("one of its header extensions is longer than the header")
        found[kind] = head[at : at + size]
        at += -(-size // 8) * 8
    return found


def _damaged(why: str) -> ImageDamaged:
    return ImageDamaged(
        f"This is not a proper qcow2 file: {why}.", operation="read the header", hint="Make it again: qemu-img convert -O qcow2."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyOverlay:
    """A file of `length_bytes` that is zero except for `pieces` (offset, content). About 12 KiB of it are really written."""

    pieces: tuple[tuple[int, bytes], ...]
    length_bytes: int


def renamed_backing(header: Qcow2Header, name: bytes) -> tuple[tuple[int, bytes], ...]:
    """What to write where (offset, content) so that the header names `name` below it; the rest of the old name is zeroed.

    Raises ValueError when the header has none, or its name is shorter: there is no room to grow.
    """
    old = len(header.backing_file or b"")
    if not 0 < len(name) <= old or b"\0" in name:
        raise ValueError("the new name has no room in the header")
    return (header.backing_offset, name + bytes(old - len(name))), (_BACKING_SIZE_AT, struct.pack(">I", len(name)))


def render_blank(*, virtual_bytes: int) -> EmptyOverlay:
    """An empty qcow2 file as `render_overlay` makes it, complete by itself: a disk of zeros. Raises ValueError for an impossible size."""
    return _render(virtual_bytes, b"", b"")


def render_overlay(*, virtual_bytes: int, backing_file: bytes, backing_format: str) -> EmptyOverlay:
    """An empty qcow2 file, version 3, 64 KiB clusters, whose content is that of `backing_file` (an absolute path) in its named format.

    Layout in clusters: header, refcount table, one refcount block, L1 table. `qemu-img check` finds nothing to say about it.
    Raises ValueError for what no caller may ask: a relative path (QEMU reads 'nbd:...' and 'json:...' as more than a name), a name
    too long for the header, an impossible size.
    """
    if not backing_file.startswith(b"/") or not len(backing_file) <= _LONGEST_NAME or b"\0" in backing_file:
        raise ValueError("the backing file is named by an absolute path of at most 1023 bytes")
    if backing_format not in ("qcow2", "raw"):
        raise ValueError("the base is qcow2 or raw")
    return _render(virtual_bytes, backing_file, backing_format.encode("ascii"))


def _render(virtual_bytes: int, backing_file: bytes, name: bytes) -> EmptyOverlay:
    if not 0 < virtual_bytes <= LARGEST_OVERLAY or virtual_bytes % 512:
        raise ValueError("a disk has a whole number of sectors, and at most 1 PiB")
    cluster = 1 << _OVERLAY_CLUSTER_BITS
    l1_entries = -(-virtual_bytes // (cluster * cluster // 8))
    used = 3 + -(-l1_entries * 8 // cluster)
    extensions = _EXTENSION.pack(_END, 0)
    if backing_file:
        extensions = _EXTENSION.pack(_BACKING_FORMAT, len(name)) + name + bytes(-len(name) % 8) + extensions
    header_length = _FIXED.size + _FEATURES.size
    fixed = _FIXED.pack(
        MAGIC,
        3,
        header_length + len(extensions) if backing_file else 0,
        len(backing_file),
        _OVERLAY_CLUSTER_BITS,
        virtual_bytes,
        0,  # not encrypted
        l1_entries,
        3 * cluster,
        cluster,
        1,
        0,  # no snapshots
        0,
    )
    features = _FEATURES.pack(0, 0, 0, 4, header_length)  # counters of 2^4 bits
    return EmptyOverlay(
        pieces=(
            (0, fixed + features + extensions + backing_file),
            (cluster, struct.pack(">Q", 2 * cluster)),
            (2 * cluster, struct.pack(">H", 1) * used),
        ),
        length_bytes=3 * cluster + l1_entries * 8,
    )
