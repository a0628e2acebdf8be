# SPDX-License-Identifier: MIT
"""What contracts.disks.Drafts promises."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.contracts.disks import RunDisk
from labvirt.disks.qcow2_header import HEAD_BYTES, parse
from labvirt.domain.guest import RunId
from labvirt.errors import ImageDamaged, InUse, InvalidInput
from tests.fakes.disks import Imported, doors, imported

RUN = RunId("lab-a-s01", 1)


@pytest.fixture
def made(tmp_path: Path) -> Imported:
    return imported(tmp_path)


def test_a_draft_is_an_empty_private_overlay_over_its_parent(tmp_path: Path, made: Imported) -> None:
    drafts = made.doors["drafts"]
    assert drafts.list() == ()
    draft = drafts.create("tiny.d1", (made.version,))
    header = parse(draft.path.read_bytes()[:HEAD_BYTES])
    assert draft.path == tmp_path / "drafts" / "tiny.d1" / "disk.qcow2"
    assert header.backing_file == os.fsencode(tmp_path / "images" / made.version.file)
    assert header.virtual_bytes == made.version.virtual_bytes
    assert draft.path.stat().st_mode & 0o777 == 0o600
    assert draft.path.parent.stat().st_mode & 0o777 == 0o700
    assert 0 < draft.used_bytes < 1 << 20
    assert drafts.list() == (draft,)
    assert doors(tmp_path)["drafts"].list() == (draft,)


def test_what_exists_already_is_left_as_it_is(made: Imported) -> None:
    """The job began again, after somebody worked on it for an hour."""
    drafts = made.doors["drafts"]
    path = drafts.create("tiny.d1", (made.version,)).path
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"an hour's work")
    before = path.read_bytes()
    assert drafts.create("tiny.d1", (made.version,)).path.read_bytes() == before


def test_a_draft_that_was_half_made_is_made_again(tmp_path: Path, made: Imported) -> None:
    folder = tmp_path / "drafts" / "tiny.d1"
    folder.mkdir(parents=True)
    (folder / ".new.qcow2").write_bytes(b"QFI\xfb killed here")
    drafts = made.doors["drafts"]
    assert drafts.list() == ()
    draft = drafts.create("tiny.d1", (made.version,))
    assert parse(draft.path.read_bytes()[:HEAD_BYTES]).virtual_bytes == made.version.virtual_bytes
    assert sorted(path.name for path in folder.iterdir()) == ["disk.qcow2"]


def test_a_parent_that_is_damaged_is_not_built_upon(tmp_path: Path, made: Imported) -> None:
    drafts = made.doors["drafts"]
    with pytest.raises(ImageDamaged, match="tiny v1"):
        drafts.create("tiny.d1", (replace(made.version, sha256="0" * 64),))
    assert drafts.list() == ()
    drafts.create("tiny.d1", (made.version,))


@pytest.mark.parametrize("name", ["", "tiny", "../tiny.d1", "tiny.d1/..", "Tiny.d1", "tiny.d0", ".d1"])
def test_other_names_are_refused(tmp_path: Path, made: Imported, name: str) -> None:
    with pytest.raises(InvalidInput):
        made.doors["drafts"].create(name, (made.version,))
    with pytest.raises(InvalidInput):
        made.doors["drafts"].remove(name)
    assert not (tmp_path / "drafts").exists()
    made.doors["drafts"].create("tiny.d1", (made.version,))


def test_a_draft_that_somebody_needs_is_not_removed(made: Imported) -> None:
    drafts, disks = made.doors["drafts"], made.doors["disks"]
    path = drafts.create("tiny.d1", (made.version,)).path
    disks.create_run(RUN, (RunDisk(place=0, chain=(made.version,), draft="tiny.d1"),), uid=None)
    with pytest.raises(InUse) as caught:
        drafts.remove("tiny.d1")
    assert caught.value.by == str(RUN)
    disks.remove_run(RUN)
    with subprocess.Popen(
        ["qemu-io", "-f", "qcow2", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"read 0 512\n")
        process.stdin.flush()
        while b"read 512/512" not in process.stdout.readline():
            assert process.poll() is None
        with pytest.raises(InUse, match="a process"):
            drafts.remove("tiny.d1")
        process.communicate(b"quit\n", timeout=30)
    drafts.remove("tiny.d1")
    assert not path.parent.exists()
    drafts.remove("tiny.d1")  # absent is fine
    assert drafts.list() == ()


def test_what_is_not_a_draft_is_left_alone(tmp_path: Path, made: Imported) -> None:
    drafts = made.doors["drafts"]
    draft = drafts.create("tiny.d1", (made.version,))
    (tmp_path / "drafts" / "notes").mkdir()
    (tmp_path / "drafts" / "tiny.d2").write_text("a file")
    (tmp_path / "drafts" / "tiny.d3").symlink_to(draft.path.parent)
    (tmp_path / "drafts" / "tiny.d4").mkdir()
    (tmp_path / "drafts" / "tiny.d4" / "disk.qcow2").symlink_to(draft.path)
    assert drafts.list() == (draft,)
