# SPDX-License-Identifier: MIT
"""The header is read as the specification says, the overlay is one that QEMU finds nothing to say about."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.disks import overlay
from labvirt.disks.qcow2_header import HEAD_BYTES, LARGEST_OVERLAY, EmptyOverlay, parse, render_overlay
from labvirt.errors import ImageDamaged
from tests.unit.disks.images import Qcow2

SIZES = st.integers(1, LARGEST_OVERLAY // 512).map(lambda sectors: sectors * 512)


def file_of(empty: EmptyOverlay) -> bytes:
    content = bytearray(empty.length_bytes)
    for offset, piece in empty.pieces:
        content[offset : offset + len(piece)] = piece
    return bytes(content)


@given(size=SIZES, name=st.binary(min_size=1, max_size=1000).filter(lambda raw: b"\0" not in raw), format=st.sampled_from(["qcow2", "raw"]))
def test_what_was_rendered_is_read_back(size: int, name: bytes, format: str) -> None:
    head = dict(render_overlay(virtual_bytes=size, backing_file=b"/" + name, backing_format=format).pieces)[0]
    header = parse(head.ljust(HEAD_BYTES, b"\0"))
    assert (header.virtual_bytes, header.backing_file, header.backing_format) == (size, b"/" + name, format)
    assert (header.version, header.incompatible, header.snapshots, header.encrypted, header.data_file) == (3, 0, 0, False, None)
    assert header.l1_entries == header.l1_needed


@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail_in_another_way(noise: bytes) -> None:
    for head in (noise, b"QFI\xfb" + noise, b"QFI\xfb\0\0\0\3" + noise):
        with suppress(ImageDamaged):
            parse(head)


@given(position=st.integers(0, 300), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(position: int, value: int) -> None:
    content = bytearray(Qcow2(extensions=((0xE2792ACA, b"qcow2"),), backing=b"/base").data())
    content[position] = value
    with suppress(ImageDamaged):
        parse(bytes(content[:HEAD_BYTES]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"backing_file": b"base.qcow2"},
        {"backing_file": b"nbd:127.0.0.1:1"},
        {"backing_file": b"/" + b"a" * 1023},
        {"backing_file": b"/a\0b"},
        {"backing_format": "vmdk"},
        {"virtual_bytes": 0},
        {"virtual_bytes": 513},
        {"virtual_bytes": LARGEST_OVERLAY * 2},
    ],
)
def test_an_overlay_that_nobody_may_ask_for(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"virtual_bytes": 1 << 20, "backing_file": b"/base", "backing_format": "qcow2"}
    assert render_overlay(**right)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        render_overlay(**{**right, **wrong})  # type: ignore[arg-type]


def test_the_overlay_byte_by_byte() -> None:
    empty = render_overlay(virtual_bytes=10 << 30, backing_file=b"/images/tiny/v1/disk.qcow2", backing_format="qcow2")
    assert empty.length_bytes == 3 * 65536 + 20 * 8
    assert list(empty.pieces) == [
        (
            0,
            bytes.fromhex(
                "514649fb 00000003 0000000000000080 0000001a 00000010 0000000280000000 00000000 00000014"
                "0000000000030000 0000000000010000 00000001 00000000 0000000000000000"
                "0000000000000000 0000000000000000 0000000000000000 00000004 00000068"
                "e2792aca 00000005 71636f7732000000 00000000 00000000"
            )
            + b"/images/tiny/v1/disk.qcow2",
        ),
        (65536, bytes.fromhex("0000000000020000")),
        (131072, bytes.fromhex("0001") * 4),
    ]


@pytest.mark.real
@pytest.mark.parametrize("size", [512, 1 << 20, 512 << 20, (512 << 20) + 512, 10 << 30, 3 << 40, LARGEST_OVERLAY])
def test_qemu_finds_nothing_to_say_about_it(tmp_path: Path, size: int) -> None:
    base, made, usual = tmp_path / "base.qcow2", tmp_path / "made.qcow2", tmp_path / "usual.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", str(base), str(size))
    overlay.create(made, base=base, base_format="qcow2", virtual_bytes=size, uid=None)
    qemu_img("create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(usual))
    check = json.loads(qemu_img("check", "-f", "qcow2", "--output=json", str(made)))
    assert check["check-errors"] == 0
    assert not {"corruptions", "leaks"} & set(check)
    ours, theirs = (json.loads(qemu_img("info", "-f", "qcow2", "--output=json", str(path))) for path in (made, usual))
    for key in ("virtual-size", "cluster-size", "format", "backing-filename", "full-backing-filename", "backing-filename-format"):
        assert ours[key] == theirs[key], key
    assert ours["format-specific"]["data"] == theirs["format-specific"]["data"]
    assert made.stat().st_size == usual.stat().st_size
    header, other = parse(made.read_bytes()[:HEAD_BYTES]), parse(usual.read_bytes()[:HEAD_BYTES])
    assert (header.backing_format, header.l1_entries, header.refcount_offset) == (
        other.backing_format,
        other.l1_entries,
        other.refcount_offset,
    )


@pytest.mark.real
def test_guests_can_write_into_it(tmp_path: Path) -> None:
    base, made = tmp_path / "base.qcow2", tmp_path / "made.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", str(base), "3G")
    io("write -P 17 0 1M", base)
    before = base.read_bytes()
    overlay.create(made, base=base, base_format="qcow2", virtual_bytes=3 << 30, uid=None)
    io("write -P 34 512k 1M", made)
    io("write -P 51 2900M 64M", made)
    for command in ("read -P 17 0 512k", "read -P 34 512k 1M", "read -P 51 2900M 64M"):
        assert "verification failed" not in io(command, made)
    assert "verification failed" in io("read -P 18 0 512k", made)  # so a difference would be seen
    assert qemu_img("check", "-f", "qcow2", str(made))
    assert base.read_bytes() == before


def qemu_img(*arguments: str) -> str:
    return subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


def io(command: str, path: Path) -> str:
    done = subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(path)], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr
