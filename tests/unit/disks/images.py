# SPDX-License-Identifier: MIT
"""Disk images made by hand for tests: good ones, and the corpus of hostile ones. Byte by byte, so that no tool refuses to make them.

More of the hostile ones, those that only qemu-img can judge, are in hostile.py.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labvirt.disks import overlay
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Version
from tests.fakes.disks import version_of as version_of

CANARY = b"CANARY-4f1d9a-this-must-never-be-seen"
CLUSTER = 65536
MIB = 1 << 20


@dataclass
class Qcow2:
    """A qcow2 file of version 3 whose every field may be wrong."""

    version: int = 3
    cluster_bits: int = 16
    size: int = MIB
    crypt: int = 0
    l1_entries: int = 1
    l1_offset: int = 3 * CLUSTER
    refcount_offset: int = CLUSTER
    refcount_clusters: int = 1
    snapshots: int = 0
    incompatible: int = 0
    autoclear: int = 0
    refcount_order: int = 4
    header_length: int = 104
    extensions: tuple[tuple[int, bytes], ...] = ()
    backing: bytes | None = None
    backing_size: int | None = None
    backing_offset: int | None = None
    l1: tuple[int, ...] = (0,)
    length: int = 3 * CLUSTER + 512
    magic: bytes = b"QFI\xfb"
    more: dict[int, bytes] = field(default_factory=dict)

    def data(self) -> bytes:
        area = b"".join(
            struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8) for kind, content in self.extensions
        ) + bytes(8)
        start = 72 if self.version == 2 else self.header_length
        where = self.backing_offset if self.backing_offset is not None else start + len(area) if self.backing is not None else 0
        name = self.backing or b""
        size = self.backing_size if self.backing_size is not None else len(name)
        head = struct.pack(
            ">4sIQIIQIIQQIIQ",
            self.magic,
            self.version,
            where,
            size,
            self.cluster_bits,
            self.size,
            self.crypt,
            self.l1_entries,
            self.l1_offset,
            self.refcount_offset,
            self.refcount_clusters,
            self.snapshots,
            0,
        )
        if self.version != 2:
            head += struct.pack(">QQQII", self.incompatible, 0, self.autoclear, self.refcount_order, self.header_length)
        content = bytearray(max(self.length, CLUSTER))
        content[: len(head)] = head
        content[start : start + len(area)] = area
        if where and where + len(name) <= len(content):
            content[where : where + len(name)] = name
        pieces = {
            CLUSTER: struct.pack(">Q", 2 * CLUSTER),
            2 * CLUSTER: struct.pack(">H", 1) * 4,
            3 * CLUSTER: b"".join(struct.pack(">Q", entry) for entry in self.l1),
            **self.more,
        }
        for offset, piece in pieces.items():
            if offset + len(piece) <= len(content):
                content[offset : offset + len(piece)] = piece
        return bytes(content[: self.length])


def hostile(folder: Path, canary: Path) -> dict[str, tuple[Path, str]]:
    """Name -> (path, format to ask for). Nothing here may be accepted. `canary` is a file whose content must not come out."""
    secret = os.fsencode(canary)
    descriptor = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "%s" 0\n' % secret
    as_json = json.dumps({"driver": "raw", "file": {"driver": "file", "filename": str(canary)}}).encode()
    files: dict[str, tuple[bytes, str]] = {
        "backing-file": (Qcow2(backing=secret).data(), "qcow2"),
        "backing-file-with-format": (Qcow2(backing=secret, extensions=((0xE2792ACA, b"raw"),)).data(), "qcow2"),
        "backing-etc-shadow": (Qcow2(backing=b"/etc/shadow").data(), "qcow2"),
        "backing-json": (Qcow2(backing=b"json:" + as_json).data(), "qcow2"),
        "backing-nbd": (Qcow2(backing=b"nbd:127.0.0.1:10809").data(), "qcow2"),
        "backing-of-version-2": (Qcow2(version=2, backing=secret).data(), "qcow2"),
        "backing-without-name": (Qcow2(backing=b"", backing_offset=512).data(), "qcow2"),
        "backing-name-outside": (Qcow2(backing=secret, backing_offset=MIB * 8).data(), "qcow2"),
        "backing-name-too-long": (Qcow2(backing=b"/" + b"a" * 1030).data(), "qcow2"),
        "data-file-bit": (Qcow2(incompatible=4).data(), "qcow2"),
        "data-file-named": (Qcow2(incompatible=4, extensions=((0x44415441, secret),)).data(), "qcow2"),
        "data-file-named-without-bit": (Qcow2(extensions=((0x44415441, secret),)).data(), "qcow2"),
        "data-file-raw": (Qcow2(incompatible=4, autoclear=2, extensions=((0x44415441, secret),)).data(), "qcow2"),
        "unknown-bit-5": (Qcow2(incompatible=32).data(), "qcow2"),
        "unknown-bit-63": (Qcow2(incompatible=1 << 63).data(), "qcow2"),
        "dirty": (Qcow2(incompatible=1).data(), "qcow2"),
        "corrupt": (Qcow2(incompatible=2).data(), "qcow2"),
        "encrypted-aes": (Qcow2(crypt=1).data(), "qcow2"),
        "encrypted-luks": (Qcow2(crypt=2, extensions=((0x0537BE77, bytes(16)),)).data(), "qcow2"),
        "encrypted-by-extension": (Qcow2(extensions=((0x0537BE77, bytes(16)),)).data(), "qcow2"),
        "size-2-eib": (Qcow2(size=1 << 61).data(), "qcow2"),
        "size-63-tib": (Qcow2(size=63 << 40).data(), "qcow2"),
        "size-0": (Qcow2(size=0).data(), "qcow2"),
        "size-odd": (Qcow2(size=MIB + 1).data(), "qcow2"),
        "l1-cut-off": (Qcow2(length=3 * CLUSTER).data(), "qcow2"),
        "l1-too-small": (Qcow2(size=1 << 40).data(), "qcow2"),
        "l1-in-the-header": (Qcow2(l1_offset=0).data(), "qcow2"),
        "l1-huge": (Qcow2(l1_entries=1 << 31).data(), "qcow2"),
        "l1-not-aligned": (Qcow2(l1_offset=3 * CLUSTER + 8).data(), "qcow2"),
        "refcounts-outside": (Qcow2(refcount_offset=1 << 40).data(), "qcow2"),
        "refcounts-none": (Qcow2(refcount_clusters=0).data(), "qcow2"),
        "refcounts-too-wide": (Qcow2(refcount_order=7).data(), "qcow2"),
        "snapshots": (Qcow2(snapshots=3).data(), "qcow2"),
        "version-1": (Qcow2(version=1).data(), "qcow2"),
        "version-4": (Qcow2(version=4).data(), "qcow2"),
        "clusters-of-2^40": (Qcow2(cluster_bits=40).data(), "qcow2"),
        "header-length-0": (Qcow2(header_length=0).data(), "qcow2"),
        "header-length-too-long": (Qcow2(header_length=0xFFFFFFF8).data(), "qcow2"),
        "extension-too-long": (Qcow2(more={104: struct.pack(">II", 1, 0xFFFFFFFF)}).data(), "qcow2"),
        "ends-in-the-header": (Qcow2().data()[:30], "qcow2"),
        "ends-after-72-bytes": (Qcow2().data()[:72], "qcow2"),
        "text": (b"this is not a disk\n" * 99, "qcow2"),
        "empty-qcow2": (b"", "qcow2"),
        "raw-that-is-qcow2": (Qcow2(backing=secret).data(), "raw"),
        "raw-that-is-a-vmdk-descriptor": (descriptor, "raw"),
        "raw-that-is-vmdk": (b"KDMV" + bytes(4096), "raw"),
        "raw-that-is-qed": (b"QED\0" + bytes(4096), "raw"),
        "raw-that-is-vhdx": (b"vhdxfile" + bytes(4096), "raw"),
        "raw-that-is-vdi": (bytes(64) + b"\x7f\x10\xda\xbe" + bytes(4096), "raw"),
        "raw-that-is-luks": (b"LUKS\xba\xbe" + bytes(4096), "raw"),
        "raw-that-is-gzip": (b"\x1f\x8b\x08" + bytes(4096), "raw"),
        "qcow2-that-is-a-vmdk-descriptor": (descriptor, "qcow2"),
        "qcow2-that-is-qed": (b"QED\0" + bytes(4096), "qcow2"),
        "empty-raw": (b"", "raw"),
        "raw-odd": (bytes(1000), "raw"),
        "told-vmdk": (b"KDMV" + bytes(4096), "vmdk"),
        "told-luks": (b"LUKS\xba\xbe" + bytes(4096), "luks"),
        "told-nothing": (bytes(4096), ""),
        "told-shell": (bytes(4096), "raw; touch /tmp/owned"),
    }
    found: dict[str, tuple[Path, str]] = {}
    for name, (content, kind) in files.items():
        path = folder / name
        path.write_bytes(content)
        found[name] = (path, kind)
    for name, make in _ODD.items():
        path = folder / name
        make(path, canary)
        found[name] = (path, "raw")
    found["missing"] = (folder / "missing", "raw")
    found["device"] = (Path("/dev/zero"), "raw")
    found["not-a-path"] = (folder / "a\0b", "raw")
    return found


def _socket(path: Path, _canary: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(path.parent, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


_ODD: dict[str, Callable[[Path, Path], object]] = {
    "folder": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "link": lambda path, canary: path.symlink_to(canary),
    "dangling-link": lambda path, _: path.symlink_to("nowhere"),
    "socket": _socket,
}


def store_in(folder: Path, **more: int) -> VersionStore:
    """A store in `folder` laid out like a state folder."""
    return VersionStore(folder / "images", drafts=folder / "drafts", runs=folder / "runs", kept=folder / "kept", **more)


def draft_in(folder: Path, base: Version, name: str, *writes: str) -> Path:
    """A draft over the version in the store of `folder`, with what these commands of qemu-io write."""
    path = folder / "drafts" / name / "disk.qcow2"
    path.parent.mkdir(parents=True)
    file = folder / "images" / base.file
    overlay.create(path, base=file, base_format=base.format, virtual_bytes=base.virtual_bytes, uid=None)
    if writes:
        program("qemu-io", "-f", "qcow2", *(word for each in writes for word in ("-c", each)), str(path))
    return path


def source_in(folder: Path, *, name: str = "source", size: str = "64M", writes: tuple[str, ...] = ("write -P 7 1M 3M",)) -> Path:
    """A qcow2 file as somebody brings it."""
    path = folder / name
    program("qemu-img", "create", "-q", "-f", "qcow2", str(path), size)
    program("qemu-io", "-f", "qcow2", *(word for each in writes for word in ("-c", each)), str(path))
    return path


def program(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def left_in(folder: Path) -> list[str]:
    """What lies in the store beside locks and its memory: none of it may be there after a failure."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock") and path.name != ".proven.json"
    )
