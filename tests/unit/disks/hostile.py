# SPDX-License-Identifier: MIT
"""More hostile files: those that look right and lie in their tables, and bombs. What the headers alone give away is in images.py."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from tests.unit.disks.images import CLUSTER, MIB, Qcow2, program

COPIED = 1 << 63
COMPRESSED = 1 << 62


def entry(value: int) -> bytes:
    return struct.pack(">Q", value)


def lying(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Name -> (content, format to ask for). Each may be refused, or be converted into something harmless."""
    secret = os.fsencode(canary)
    l2 = 4 * CLUSTER
    length = 6 * CLUSTER
    deep: dict[str, object] = {"l1": (COPIED | l2,), "length": length}

    def tables(*l2_entries: int, **more: object) -> bytes:
        refcounts = more.pop("refcounts", b"\0\1" * 6)
        pieces = {l2: b"".join(map(entry, l2_entries)), 2 * CLUSTER: refcounts, 5 * CLUSTER: b"data" * 1024}
        return Qcow2(**{**deep, "more": pieces, **more}).data()  # type: ignore[arg-type]

    squeezed = zlib.compressobj(9, zlib.DEFLATED, -12)
    bomb = squeezed.compress(bytes([7]) * CLUSTER) + squeezed.flush()
    # A compressed cluster's entry: offset in the low bits, sectors above (docs/interop/qcow2.txt, 64 KiB clusters: 54 bits of offset).
    packed = COMPRESSED | (len(bomb) // 512) << 54 | 5 * CLUSTER
    snapshots = struct.pack(">QIHHIIQII", 3 * CLUSTER, 1, 1, 1, 0, 0, 0, 0, 0) + b"1x"
    return {
        "tables-good": (tables(COPIED | 5 * CLUSTER), "qcow2"),
        "l1-to-itself": (Qcow2(l1=(COPIED | 3 * CLUSTER,)).data(), "qcow2"),
        "l1-to-header": (Qcow2(l1=(COPIED | 0x200,)).data(), "qcow2"),
        "l1-to-refcounts": (Qcow2(l1=(COPIED | CLUSTER,)).data(), "qcow2"),
        "l1-reserved-bits": (Qcow2(l1=(COPIED | 1 << 60 | 4 * CLUSTER,), length=length).data(), "qcow2"),
        "l1-is-the-refcount-table": (Qcow2(l1_offset=CLUSTER).data(), "qcow2"),
        "l2-to-header": (tables(COPIED | 1), "qcow2"),
        "l2-to-itself": (tables(COPIED | l2), "qcow2"),
        "l2-to-refcounts": (tables(COPIED | 2 * CLUSTER), "qcow2"),
        "l2-twice-the-same": (tables(COPIED | 5 * CLUSTER, COPIED | 5 * CLUSTER), "qcow2"),
        "l2-not-aligned": (tables(COPIED | (5 * CLUSTER + 512)), "qcow2"),
        "l2-reserved-bits": (tables(COPIED | 1 << 60 | 5 * CLUSTER), "qcow2"),
        "l2-beyond": (tables(COPIED | 1 << 50), "qcow2"),
        "l2-negative": (tables(COPIED | 0xFFFFFFFFFF0000), "qcow2"),
        "compressed-beyond": (tables(COMPRESSED | 1 << 50), "qcow2"),
        "compressed-garbage": (tables(COMPRESSED | 1 << 54 | 5 * CLUSTER), "qcow2"),
        "compressed-all-the-same": (_bomb(packed, bomb), "qcow2"),
        "zstd-garbage": (
            Qcow2(
                incompatible=8,
                header_length=112,
                l1=(COPIED | l2,),
                length=length,
                more={104: b"\1" + bytes(7), l2: entry(COMPRESSED | 1 << 54 | 5 * CLUSTER), 2 * CLUSTER: b"\0\1" * 6},
            ).data(),
            "qcow2",
        ),
        "compression-type-unknown": (Qcow2(incompatible=8, header_length=112, more={104: b"\x7f" + bytes(7)}).data(), "qcow2"),
        "refcount-table-to-itself": (Qcow2(more={CLUSTER: entry(CLUSTER)}).data(), "qcow2"),
        "refcount-table-beyond": (Qcow2(more={CLUSTER: entry(1 << 50)}).data(), "qcow2"),
        "refcount-table-not-aligned": (Qcow2(more={CLUSTER: entry(2 * CLUSTER + 512)}).data(), "qcow2"),
        "refcounts-all-zero": (tables(COPIED | 5 * CLUSTER, refcounts=bytes(12)), "qcow2"),
        "refcounts-all-ones": (tables(COPIED | 5 * CLUSTER, refcounts=b"\xff" * 2 * 6), "qcow2"),
        "refcount-bomb": (Qcow2(refcount_clusters=0x7FFFFFFF).data(), "qcow2"),
        "refcount-table-of-4-gib": (Qcow2(refcount_clusters=65536).data(), "qcow2"),
        "refcounts-of-1-bit": (Qcow2(refcount_order=0).data(), "qcow2"),
        "bitmaps-beyond": (Qcow2(autoclear=1, extensions=((0x23852875, struct.pack(">IIQQ", 1, 0, 24, 1 << 50)),)).data(), "qcow2"),
        "bitmaps-too-many": (
            Qcow2(autoclear=1, extensions=((0x23852875, struct.pack(">IIQQ", 0xFFFFFFFF, 0, 1 << 62, CLUSTER)),)).data(),
            "qcow2",
        ),
        "extension-overflows": (Qcow2(more={104: struct.pack(">II", 0x6803F857, 0xFFFFFFF9)}).data(), "qcow2"),
        "extension-hides-a-data-file": (
            Qcow2(extensions=((0x6803F857, bytes(48)), (0x44415441, secret), (0xE2792ACA, b"raw"))).data(),
            "qcow2",
        ),
        "extension-twice-data-file": (Qcow2(incompatible=4, extensions=((0x44415441, secret), (0x44415441, b"x"))).data(), "qcow2"),
        "backing-name-with-nul": (Qcow2(backing=secret + b"\0.png").data(), "qcow2"),
        "backing-name-of-1023": (Qcow2(backing=secret + b"/." * 470).data(), "qcow2"),
        "backing-http": (Qcow2(backing=b"http://127.0.0.1:9/disk").data(), "qcow2"),
        "backing-ssh": (Qcow2(backing=b"ssh://127.0.0.1/etc/shadow").data(), "qcow2"),
        "backing-fd": (Qcow2(backing=b"/dev/fd/3", extensions=((0xE2792ACA, b"raw"),)).data(), "qcow2"),
        "backing-itself": (Qcow2(backing=b"backing-itself", extensions=((0xE2792ACA, b"qcow2"),)).data(), "qcow2"),
        "backing-json-blkdebug": (
            Qcow2(backing=b'json:{"driver":"blkdebug","config":"%s","image":{"driver":"null-co"}}' % secret).data(),
            "qcow2",
        ),
        "snapshots-in-the-table": (Qcow2(snapshots=1, length=length, more={5 * CLUSTER: snapshots}).data(), "qcow2"),
        "luks-version-2": (b"LUKS\xba\xbe\0\2" + bytes(8192), "raw"),
        "fixed-vhd": (bytes(MIB) + b"conectix" + bytes(504), "raw"),
        "vmdk-with-descriptor": (b"KDMV" + struct.pack("<IIQQQQ", 1, 3, 2048, 128, 1, 20) + bytes(512 * 30), "raw"),
        "parallels": (b"WithoutFreeSpace" + bytes(4096), "raw"),
        "qcow-version-1": (b"QFI\xfb\0\0\0\1" + bytes(4096 - 8), "qcow2"),
        "iso-that-is-qcow2-too": (_with(Qcow2(backing=secret).data(), 0x8001, b"CD001"), "qcow2"),
        "gpt-that-is-qcow2-too": (_with(Qcow2().data(), 510, b"\x55\xaa"), "qcow2"),
    }


def _bomb(packed: int, bomb: bytes) -> bytes:
    """Sixteen clusters of a guest in one of 100 bytes, counted rightly: nothing is wrong with it but its size."""
    return Qcow2(
        l1=(COPIED | 4 * CLUSTER,),
        length=6 * CLUSTER,
        more={4 * CLUSTER: entry(packed) * 16, 5 * CLUSTER: bomb, 2 * CLUSTER: b"\0\1" * 5 + b"\0\x10"},
    ).data()


def _with(content: bytes, offset: int, piece: bytes) -> bytes:
    return content[:offset] + piece + content[offset + len(piece) :]


def compression_bomb(folder: Path, *, size: str) -> Path:
    """A small file whose disk is all sevens: real, valid, and hundreds of times as large when it is unpacked."""
    plain, packed = folder / "plain", folder / "packed"
    program("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=2M", str(plain), size)
    program("qemu-io", "-f", "qcow2", "-c", f"write -P 7 0 {size}", str(plain))
    program("qemu-img", "convert", "-c", "-f", "qcow2", "-O", "qcow2", "-o", "cluster_size=2M", str(plain), str(packed))
    plain.unlink()
    return packed
