# SPDX-License-Identifier: MIT
"""What every keeper of contracts.disks promises: the fake, and qcow2 files made by QEMU's tools."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from labvirt.contracts.disks import Disks
from labvirt.disks.driver import QcowDisks
from labvirt.disks.fake import FakeDisks
from labvirt.disks.qcow2_header import HEAD_BYTES, parse
from labvirt.domain.findings import Severity
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged, InvalidInput
from tests.unit.disks.images import MIB, Qcow2, version_of

RUN = RunId("lab-a-07", 3)
Make = Callable[[], Disks]


@pytest.fixture(params=["fake", pytest.param("qcow2", marks=pytest.mark.real)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes one more keeper of the same folders: what another process would have."""
    if request.param == "fake":
        return lambda: FakeDisks(tmp_path / "images", tmp_path / "runs", tmp_path / "fake" / "disks.json")
    return lambda: QcowDisks(tmp_path / "images", tmp_path / "runs")


@pytest.fixture
def disks(make: Make) -> Disks:
    return make()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.qcow2"
    path.write_bytes(Qcow2(size=8 * MIB).data())
    return path


@pytest.fixture
def version(disks: Disks, source: Path) -> Version:
    return version_of(disks.import_version(source, format="qcow2", image="tiny", number=1))


def file_of(tmp_path: Path, version: Version) -> Path:
    return tmp_path / "images" / version.file


def test_an_imported_version_is_whole_and_read_only(tmp_path: Path, disks: Disks, source: Path, version: Version) -> None:
    file = file_of(tmp_path, version)
    assert (version.virtual_bytes, version.format) == (8 * MIB, "qcow2")
    assert file.stat().st_size == version.size_bytes
    assert file.stat().st_mode & 0o777 == 0o444
    assert disks.check_version(version) is None
    again = version_of(disks.import_version(source, format="qcow2", image="tiny", number=2), number=2)
    assert again.file != version.file
    assert disks.check_version(again) is None


def test_importing_the_same_again_changes_nothing(tmp_path: Path, disks: Disks, source: Path, version: Version) -> None:
    """A controller that was killed between the import and its record does it again."""
    before = file_of(tmp_path, version).stat().st_size
    assert version_of(disks.import_version(source, format="qcow2", image="tiny", number=1)) == version
    assert file_of(tmp_path, version).stat().st_size == before


@pytest.mark.parametrize(
    "image, number, format, field",
    [
        ("Tiny!", 1, "qcow2", "image"),
        ("../../etc", 1, "qcow2", "image"),
        ("a" * 300, 1, "qcow2", "image"),
        ("tiny", 0, "qcow2", "version"),
        ("tiny", 1, "vmdk", "format"),
        ("tiny", 1, "raw", "format"),
    ],
)
def test_wrong_words_are_refused(tmp_path: Path, disks: Disks, source: Path, image: str, number: int, format: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        disks.import_version(source, format=format, image=image, number=number)
    assert caught.value.field == field
    assert not list((tmp_path / "images").glob("*/*/disk.qcow2"))
    disks.import_version(source, format="qcow2", image="tiny", number=1)


@pytest.mark.parametrize("damage", ["missing", "cut", "longer", "header", "folder", "link", "writable"])
def test_what_is_wrong_with_a_version_is_said_with_its_name(tmp_path: Path, disks: Disks, version: Version, damage: str) -> None:
    assert disks.check_version(version) is None
    file = file_of(tmp_path, version)
    content = file.read_bytes()
    file.chmod(0o644)
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[:-1])
    elif damage == "longer":
        file.write_bytes(content + b"\0")
    elif damage == "header":
        file.write_bytes(content[:90] + bytes([content[90] ^ 1]) + content[91:])
    elif damage in ("folder", "link"):
        file.unlink()
        file.mkdir() if damage == "folder" else file.symlink_to(tmp_path / "source.qcow2")
    finding = disks.check_version(version)
    assert finding is not None
    expected = {"missing": "missing", "folder": "missing", "link": "missing", "cut": "size", "longer": "size", "header": "header"}
    assert finding.code == "image-" + expected.get(damage, "mode")
    assert finding.severity is (Severity.WARNING if damage == "writable" else Severity.ERROR)
    assert "tiny v1" in finding.sentence
    assert finding.subject == "tiny v1"
    assert finding.fix
    if damage == "writable":
        assert finding.fix == f"chmod 0444 {file}"
        return
    assert "Choose another version" in finding.sentence
    with pytest.raises(ImageDamaged, match="tiny v1") as caught:
        disks.create_run(RUN, ((0, version),), uid=None)
    assert caught.value.hint
    assert disks.open_run(RUN) is None


@pytest.mark.parametrize("position", [4, 20, 24, 40, 48, 64, 72, 100, 65535])
def test_any_changed_byte_of_the_header_is_noticed(tmp_path: Path, disks: Disks, version: Version, position: int) -> None:
    file = file_of(tmp_path, version)
    content = bytearray(file.read_bytes())
    assert disks.check_version(version) is None
    content[position] ^= 0x10
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(0o444)
    finding = disks.check_version(version)
    assert finding is not None
    assert finding.severity is Severity.ERROR


def test_a_version_that_was_never_made_is_missing(disks: Disks, version: Version) -> None:
    strange = replace(version, image="other", file=PurePosixPath("other/v1-0123/disk.qcow2"))
    finding = disks.check_version(strange)
    assert finding is not None
    assert finding.code == "image-missing"
    assert disks.check_version(version) is None


def test_a_version_of_another_content_is_not_taken_for_it(disks: Disks, version: Version) -> None:
    finding = disks.check_version(replace(version, sha256="0" * 64))
    assert finding is not None
    assert finding.code == "image-manifest"


def test_a_run_has_a_private_folder_and_an_overlay_for_each_disk(tmp_path: Path, disks: Disks, version: Version) -> None:
    assert disks.runs() == ()
    assert disks.open_run(RUN) is None
    chains = disks.create_run(RUN, ((0, version), (2, version)), uid=None)
    assert [place for place, _ in chains] == [0, 2]
    for _, (top, base) in chains:
        assert top.format == "qcow2"
        assert (base.path, base.format) == (file_of(tmp_path, version), "qcow2")
        header = parse(top.path.read_bytes()[:HEAD_BYTES])
        assert header.backing_file == os.fsencode(base.path)
        assert (header.backing_format, header.virtual_bytes) == ("qcow2", version.virtual_bytes)
        assert top.path.stat().st_mode & 0o777 == 0o600
    folder = disks.open_run(RUN)
    assert folder is not None
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert folder.overlays == tuple(layers[0].path for _, layers in chains)
    assert 0 < folder.used_bytes < MIB
    assert disks.runs() == (folder,)
    assert file_of(tmp_path, version).stat().st_mode & 0o777 == 0o444


def test_a_run_without_disks_is_a_folder(disks: Disks) -> None:
    assert disks.create_run(RUN, (), uid=None) == ()
    folder = disks.open_run(RUN)
    assert folder is not None
    assert folder.overlays == ()


def test_making_a_run_again_forgets_what_the_first_wrote(disks: Disks, version: Version) -> None:
    ((_, (first, _)),) = disks.create_run(RUN, ((0, version),), uid=None)
    (first.path.parent / "left-over.sock").write_text("")
    with first.path.open("ab") as file:
        file.write(bytes(MIB))
    ((_, (second, _)),) = disks.create_run(RUN, ((0, version),), uid=None)
    assert second.path == first.path
    assert second.path.stat().st_size < MIB
    assert [path.name for path in second.path.parent.iterdir()] == ["overlay-0.qcow2"]


def test_removing_a_run_takes_all_of_it_and_nothing_else(tmp_path: Path, disks: Disks, version: Version) -> None:
    other = RunId("lab-a-07", 4)
    disks.create_run(RUN, ((0, version),), uid=None)
    disks.create_run(other, ((0, version),), uid=None)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    folder = disks.open_run(RUN)
    assert folder is not None
    (folder.path / "deep" / "er").mkdir(parents=True)
    (folder.path / "link").symlink_to(outside)
    (folder.path / "overlay-9.qcow2").symlink_to(file_of(tmp_path, version))
    assert disks.open_run(RUN) == folder  # a link is no overlay
    disks.remove_run(RUN)
    disks.remove_run(RUN)  # absent is fine
    assert disks.open_run(RUN) is None
    assert [found.run for found in disks.runs()] == [other]
    assert (outside / "kept").read_text() == "kept"
    assert disks.check_version(version) is None


def test_what_is_not_a_run_is_left_alone(tmp_path: Path, disks: Disks) -> None:
    disks.create_run(RUN, (), uid=None)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "lab-a-07.g9").write_text("a file, not a folder")
    assert [found.run for found in disks.runs()] == [RUN]
    assert disks.open_run(RunId("lab-a-07", 9)) is None


def test_another_process_sees_the_same(make: Make, disks: Disks, version: Version) -> None:
    disks.create_run(RUN, ((0, version),), uid=None)
    other = make()
    assert other.check_version(version) is None
    assert other.runs() == disks.runs()
    other.remove_run(RUN)
    assert disks.runs() == ()


def test_free_space_is_told(disks: Disks) -> None:
    assert disks.free_mib() > 0


@pytest.mark.real
def test_folder_and_overlays_belong_to_the_guests_user(tmp_path: Path, source: Path) -> None:
    disks = QcowDisks(tmp_path / "images", tmp_path / "runs")
    version = version_of(disks.import_version(source, format="qcow2", image="tiny", number=1))
    ((_, (top, base)),) = disks.create_run(RUN, ((0, version),), uid=0x20000007)
    assert (top.path.stat().st_uid, top.path.stat().st_gid) == (0x20000007, 0x20000007)
    assert top.path.parent.stat().st_uid == 0x20000007
    assert base.path.stat().st_uid == os.getuid()
    shutil.rmtree(tmp_path / "runs")
    ((_, (top, _)),) = disks.create_run(RUN, ((0, version),), uid=None)
    assert top.path.stat().st_uid == os.getuid()
