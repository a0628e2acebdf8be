# SPDX-License-Identifier: MIT
"""Who stands on what, by the real headers, and that nothing that is stood on can be removed."""

from __future__ import annotations

import os
import struct
from pathlib import Path, PurePosixPath

import pytest

from labvirt.disks import overlay
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Version
from labvirt.errors import DiskError, InUse, InvalidInput
from tests.unit.disks.images import MIB, draft_in, store_in, version_of


@pytest.fixture
def store(tmp_path: Path) -> VersionStore:
    return store_in(tmp_path)


@pytest.fixture
def first(store: VersionStore) -> Version:
    return version_of(store.blank_version(virtual_bytes=64 * MIB, image="tiny", number=1))


def overlay_in(folder: Path, base: Path, *, place: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"overlay-{place}.qcow2"
    overlay.create(path, base=base, base_format="qcow2", virtual_bytes=64 * MIB, uid=None)
    return path


@pytest.mark.real
def test_everybody_who_stands_on_a_version_is_named(tmp_path: Path, store: VersionStore, first: Version) -> None:
    draft_in(tmp_path, first, "tiny.d1")
    second = version_of(store.seal("tiny.d1", (first,), number=2), number=2)
    base = store.path(second)
    overlay_in(tmp_path / "runs" / "lab-a-07.g3", base)
    overlay_in(tmp_path / "runs" / "lab-a-07.g3", base, place=1)
    kept = overlay_in(tmp_path / "kept" / "lab-a-07.g2", base)
    overlay_in(tmp_path / "runs" / "lab-a-08.g1", kept)  # on a kept one: that one's business
    overlay_in(tmp_path / "kept" / ".half-made", tmp_path / "nothing")
    (tmp_path / "runs" / "lab-a-08.g1" / "mine.qcow2").write_bytes(b"what a guest's QEMU calls its files is its affair")
    assert store.references() == {
        first.file: ("tiny v2", "tiny.d1"),
        second.file: ("lab-a-07.g3", "kept lab-a-07.g2"),
    }
    entries = {entry.file: entry for entry in store.entries()}
    assert entries[second.file].stands_on == first.file
    assert entries[first.file].stands_on is None
    assert entries[first.file].used_bytes >= 4096
    for file, by in ((first.file, "tiny v2, tiny.d1"), (second.file, "lab-a-07.g3, kept lab-a-07.g2")):
        with pytest.raises(InUse, match=by):
            store.remove(file)
    assert store.check(first) is None
    # The control: whoever goes frees what is below.
    for gone in ("runs/lab-a-07.g3/overlay-0.qcow2", "runs/lab-a-07.g3/overlay-1.qcow2", "kept/lab-a-07.g2/overlay-0.qcow2"):
        (tmp_path / gone).unlink()
    store.remove(second.file)
    with pytest.raises(InUse):
        store.remove(first.file)
    (tmp_path / "drafts/tiny.d1/disk.qcow2").unlink()
    store.remove(first.file)
    store.remove(first.file)  # absent is fine
    assert store.entries() == ()
    assert not (tmp_path / "images" / "tiny").exists()
    assert [path.name for path in (tmp_path / "images" / ".stage").iterdir()] == ["entrance.lock"]


@pytest.mark.parametrize("damage", ["empty", "text", "other-name", "no-name", "folder", "pipe"])
def test_as_long_as_one_header_is_a_riddle_nothing_is_removed(tmp_path: Path, store: VersionStore, first: Version, damage: str) -> None:
    second = version_of(store.blank_version(virtual_bytes=MIB, image="tiny", number=2), number=2)
    path = overlay_in(tmp_path / "runs" / "lab-a-07.g3", store.path(first))
    assert store.references() == {first.file: ("lab-a-07.g3",)}
    if damage in ("folder", "pipe"):
        path.unlink()
        path.mkdir() if damage == "folder" else os.mkfifo(path)
    else:
        content = path.read_bytes()
        hidden = content[:8] + struct.pack(">Q", 0) + content[16:]
        named = content.replace(b"/tiny/", b"/tony/")
        path.write_bytes({"empty": b"", "text": b"hello", "no-name": hidden, "other-name": named.replace(b"/images/", b"/emages/")}[damage])
    with pytest.raises(DiskError, match=r"Nobody knows what .*overlay-0"):
        store.references()
    with pytest.raises(DiskError):
        store.remove(second.file)
    assert store.check(second) is None
    path.rmdir() if damage == "folder" else path.unlink()
    store.remove(second.file)


def test_only_what_is_called_like_a_version_is_removed(tmp_path: Path, store: VersionStore, first: Version) -> None:
    (tmp_path / "images" / "tiny" / "notes").mkdir()
    for name in ("tiny/notes/disk.qcow2", "../outside", "tiny", ".stage/v1-0123456789ab/disk.qcow2", "tiny/v1-0123456789ab/manifest.json"):
        with pytest.raises(InvalidInput):
            store.remove(PurePosixPath(name))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "disk.qcow2").write_bytes(b"precious")
    (tmp_path / "images" / "tiny" / "v9-0123456789ab").symlink_to(outside)
    store.remove(PurePosixPath("tiny/v9-0123456789ab/disk.qcow2"))
    assert (outside / "disk.qcow2").read_bytes() == b"precious"
    assert store.check(first) is None
