# SPDX-License-Identifier: MIT
"""What a guest's QEMU that broke out may leave in its run's folder and in its draft, and what becomes of it: nothing that stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labvirt.contracts.disks import RunDisk
from labvirt.disks.store import VersionStore
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.errors import DiskError, ImageDamaged, InUse
from tests.fakes.disks import Doors, doors
from tests.unit.disks.images import MIB, draft_in, version_of

RUN = RunId("lab-a-s01", 1)


@pytest.fixture
def rooms(tmp_path: Path) -> Doors:
    return doors(tmp_path)


@pytest.fixture
def store(rooms: Doors) -> VersionStore:
    return rooms["store"]


@pytest.fixture
def first(store: VersionStore) -> Version:
    return version_of(store.blank_version(virtual_bytes=64 * MIB, image="tiny", number=1))


def begun(rooms: Doors, first: Version) -> Path:
    """The folder of a run that writes the draft tiny.d1."""
    rooms["drafts"].create("tiny.d1", (first,))
    rooms["disks"].create_run(RUN, (RunDisk(place=0, chain=(first,), draft="tiny.d1"),), uid=None)
    folder = rooms["disks"].open_run(RUN)
    assert folder is not None
    return folder.path


@pytest.mark.real
def test_a_draft_whose_run_was_not_cleared_away_is_not_sealed(rooms: Doors, first: Version) -> None:
    """Its firmware's memory lies in the run's folder until then: a version without it would not boot."""
    folder = begun(rooms, first)
    (folder / "uefi-vars.fd").write_bytes(b"written by the firmware")
    with pytest.raises(InUse, match=r"lab-a-s01\.g1"):
        rooms["store"].seal("tiny.d1", (first,), number=2)
    rooms["disks"].remove_run(RUN)
    assert rooms["store"].seal("tiny.d1", (first,), number=2).companions == ("uefi-vars.fd",)


@pytest.mark.real
def test_a_file_that_is_longer_than_its_disk_can_need_is_not_read(tmp_path: Path, store: VersionStore, first: Version) -> None:
    """Holes cost a guest nothing, and to read them takes days."""
    draft = draft_in(tmp_path, first, "tiny.d1", "write -P 8 40M 2M")
    length = draft.stat().st_size
    os.truncate(draft, 1 << 40)
    with pytest.raises(ImageDamaged, match=r"1024 GiB long"):
        store.seal("tiny.d1", (first,), number=2)
    os.truncate(draft, length)
    assert store.seal("tiny.d1", (first,), number=2).backing == 1


def test_firmware_memory_that_is_none_is_left_behind(rooms: Doors, first: Version, tmp_path: Path) -> None:
    folder = begun(rooms, first)
    for content, size in ((b"good", 4), (b"far too much", (64 << 20) + 1)):
        (folder / "uefi-vars.fd").write_bytes(content)
        os.truncate(folder / "uefi-vars.fd", size)
        rooms["disks"].remove_run(RUN)
        assert not folder.exists()
        assert (tmp_path / "drafts" / "tiny.d1" / "uefi-vars.fd").read_bytes() == b"good"
        rooms["disks"].create_run(RUN, (RunDisk(place=0, chain=(first,), draft="tiny.d1"),), uid=None)


@pytest.mark.real
def test_a_state_folder_that_was_moved_keeps_its_drafts_and_its_garbage_collection(rooms: Doors, first: Version, tmp_path: Path) -> None:
    rooms["drafts"].create("tiny.d1", (first,))
    rooms["disks"].create_run(RunId("lab-a-01", 1), (RunDisk(place=0, chain=(first,)),), uid=None)
    moved = tmp_path / "restored"
    moved.mkdir()
    for name in ("images", "drafts", "runs"):
        (tmp_path / name).rename(moved / name)
    elsewhere = doors(moved)
    assert elsewhere["store"].references() == {first.file: ("lab-a-01.g1", "tiny.d1")}
    second = version_of(elsewhere["store"].seal("tiny.d1", (first,), number=2), number=2)
    assert elsewhere["store"].check(second) is None
    assert second.backing == 1
    # The control: a file of the same name that is not there stays a riddle.
    overlay = moved / "runs" / "lab-a-01.g1" / "overlay-0.qcow2"
    overlay.write_bytes(overlay.read_bytes().replace(b"/tiny/", b"/tony/"))
    with pytest.raises(DiskError, match="Nobody knows"):
        elsewhere["store"].references()
