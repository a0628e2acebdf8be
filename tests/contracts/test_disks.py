# SPDX-License-Identifier: MIT
"""What contracts.disks.Disks promises, kept by qcow2 files: run folders over versions, drafts and kept runs; and what the store says of
damaged versions before a run may stand on them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from labvirt.contracts.disks import RunDisk
from labvirt.contracts.hypervisor import COMPANIONS, DiskLayer
from labvirt.contracts.images import SealMethod
from labvirt.disks.driver import QcowDisks
from labvirt.disks.qcow2_header import HEAD_BYTES, parse
from labvirt.disks.store import VersionStore
from labvirt.domain.findings import Severity
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from labvirt.domain.kept import Kept
from labvirt.errors import ImageDamaged, InUse, InvalidInput, NotFound
from tests.fakes.disks import AT, Doors, doors, version_of
from tests.unit.disks.images import MIB, Qcow2

RUN = RunId("lab-a-07", 3)
OTHER = RunId("lab-a-07", 4)


@pytest.fixture
def all_doors(tmp_path: Path) -> Doors:
    return doors(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Doors]:
    """Makes one more keeper of the same folders: what another process would have."""
    return lambda: doors(tmp_path)


@pytest.fixture
def disks(all_doors: Doors) -> QcowDisks:
    return all_doors["disks"]


@pytest.fixture
def store(all_doors: Doors) -> VersionStore:
    return all_doors["store"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.qcow2"
    path.write_bytes(Qcow2(size=8 * MIB).data())
    return path


@pytest.fixture
def version(store: VersionStore, source: Path) -> Version:
    return version_of(store.import_version(source, format="qcow2", image="tiny", number=1))


def disk(version: Version, place: int = 0) -> RunDisk:
    return RunDisk(place=place, chain=(version,))


def io(path: Path, *commands: str) -> str:
    """qemu-io on a qcow2 file, whose header names what lies below."""
    words = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(["qemu-io", "-f", "qcow2", *words, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Pattern verification failed" not in done.stdout, done.stdout
    return done.stdout


def file_of(tmp_path: Path, version: Version) -> Path:
    return tmp_path / "images" / version.file


def test_an_imported_version_is_whole_and_read_only(tmp_path: Path, store: VersionStore, source: Path, version: Version) -> None:
    file = file_of(tmp_path, version)
    assert (version.virtual_bytes, version.format) == (8 * MIB, "qcow2")
    assert file.stat().st_size == version.size_bytes
    assert file.stat().st_mode & 0o777 == 0o444
    assert store.check(version) is None
    again = version_of(store.import_version(source, format="qcow2", image="tiny", number=2), number=2)
    assert again.file != version.file
    assert store.check(again) is None


def test_importing_the_same_again_changes_nothing(tmp_path: Path, store: VersionStore, source: Path, version: Version) -> None:
    """A controller that was killed between the import and its record does it again."""
    before = file_of(tmp_path, version).stat().st_size
    assert version_of(store.import_version(source, format="qcow2", image="tiny", number=1)) == version
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
def test_wrong_words_are_refused(
    tmp_path: Path, store: VersionStore, source: Path, image: str, number: int, format: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        store.import_version(source, format=format, image=image, number=number)
    assert caught.value.field == field
    assert not list((tmp_path / "images").glob("*/*/disk.qcow2"))
    store.import_version(source, format="qcow2", image="tiny", number=1)


@pytest.mark.parametrize("damage", ["missing", "cut", "longer", "header", "folder", "link", "writable"])
def test_what_is_wrong_with_a_version_is_said_with_its_name(
    tmp_path: Path, disks: QcowDisks, store: VersionStore, version: Version, damage: str
) -> None:
    assert store.check(version) is None
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
    finding = store.check(version)
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
        disks.create_run(RUN, (disk(version),), uid=None)
    assert caught.value.hint
    assert disks.open_run(RUN) is None


@pytest.mark.parametrize("position", [4, 20, 24, 40, 48, 64, 72, 100, 65535])
def test_any_changed_byte_of_the_header_is_noticed(tmp_path: Path, store: VersionStore, version: Version, position: int) -> None:
    file = file_of(tmp_path, version)
    content = bytearray(file.read_bytes())
    assert store.check(version) is None
    content[position] ^= 0x10
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(0o444)
    finding = store.check(version)
    assert finding is not None
    assert finding.severity is Severity.ERROR


def test_a_version_that_was_never_made_is_missing(store: VersionStore, version: Version) -> None:
    strange = replace(version, image="other", file=PurePosixPath("other/v1-0123/disk.qcow2"))
    finding = store.check(strange)
    assert finding is not None
    assert finding.code == "image-missing"
    assert store.check(version) is None


def test_a_version_of_another_content_is_not_taken_for_it(store: VersionStore, version: Version) -> None:
    finding = store.check(replace(version, sha256="0" * 64))
    assert finding is not None
    assert finding.code == "image-manifest"


def test_a_run_has_a_private_folder_and_an_overlay_for_each_disk(tmp_path: Path, disks: QcowDisks, version: Version) -> None:
    assert disks.runs() == ()
    assert disks.open_run(RUN) is None
    chains = disks.create_run(RUN, (disk(version), disk(version, 2)), uid=None)
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


def test_a_run_without_disks_is_a_folder(disks: QcowDisks) -> None:
    assert disks.create_run(RUN, (), uid=None) == ()
    folder = disks.open_run(RUN)
    assert folder is not None
    assert folder.overlays == ()


def test_making_a_run_again_forgets_what_the_first_wrote(disks: QcowDisks, version: Version) -> None:
    ((_, (first, _)),) = disks.create_run(RUN, (disk(version),), uid=None)
    (first.path.parent / "left-over.sock").write_text("")
    with first.path.open("ab") as file:
        file.write(bytes(MIB))
    ((_, (second, _)),) = disks.create_run(RUN, (disk(version),), uid=None)
    assert second.path == first.path
    assert second.path.stat().st_size < MIB
    assert [path.name for path in second.path.parent.iterdir()] == ["overlay-0.qcow2"]


def test_removing_a_run_takes_all_of_it_and_nothing_else(tmp_path: Path, disks: QcowDisks, store: VersionStore, version: Version) -> None:
    other = RunId("lab-a-07", 4)
    disks.create_run(RUN, (disk(version),), uid=None)
    disks.create_run(other, (disk(version),), uid=None)
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
    assert store.check(version) is None


def test_what_is_not_a_run_is_left_alone(tmp_path: Path, disks: QcowDisks) -> None:
    disks.create_run(RUN, (), uid=None)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "lab-a-07.g9").write_text("a file, not a folder")
    assert [found.run for found in disks.runs()] == [RUN]
    assert disks.open_run(RunId("lab-a-07", 9)) is None


def test_another_process_sees_the_same(make: Callable[[], Doors], disks: QcowDisks, version: Version) -> None:
    disks.create_run(RUN, (disk(version),), uid=None)
    other = make()
    assert other["store"].check(version) is None
    assert other["disks"].runs() == disks.runs()
    other["disks"].remove_run(RUN)
    assert disks.runs() == ()


def test_free_space_is_told(disks: QcowDisks) -> None:
    assert disks.free_mib() > 0


@pytest.mark.real
def test_folder_and_overlays_belong_to_the_guests_user(tmp_path: Path, disks: QcowDisks, version: Version) -> None:
    ((_, (top, base)),) = disks.create_run(RUN, (disk(version),), uid=0x20000007)
    assert (top.path.stat().st_uid, top.path.stat().st_gid) == (0x20000007, 0x20000007)
    assert top.path.parent.stat().st_uid == 0x20000007
    assert base.path.stat().st_uid == os.getuid()
    shutil.rmtree(tmp_path / "runs")
    ((_, (top, _)),) = disks.create_run(RUN, (disk(version),), uid=None)
    assert top.path.stat().st_uid == os.getuid()


def layered(all_doors: Doors, version: Version) -> Version:
    """Version 2: a layer over version 1 with 'B' (0x42) in its second MiB."""
    made = all_doors["drafts"].create("tiny.d1", (version,))
    io(made.path, "write -P 0x42 1M 1M")
    stored = all_doors["store"].seal("tiny.d1", (version,), number=2, method=SealMethod.LAYER)
    all_doors["drafts"].remove("tiny.d1")
    return version_of(stored, number=2, parent=1)


def test_a_layered_version_is_given_with_all_its_files(tmp_path: Path, all_doors: Doors, version: Version) -> None:
    second = layered(all_doors, version)
    assert second.backing == 1
    ((_, layers),) = all_doors["disks"].create_run(RUN, (RunDisk(place=0, chain=(second, version)),), uid=None)
    assert [layer.path for layer in layers[1:]] == [file_of(tmp_path, second), file_of(tmp_path, version)]
    assert {layer.format for layer in layers} == {"qcow2"}
    assert parse(layers[0].path.read_bytes()[:HEAD_BYTES]).backing_file == os.fsencode(file_of(tmp_path, second))
    io(layers[0].path, "read -P 0x42 1M 1M", "read -P 0 0 1M")


def test_every_file_of_the_chain_is_proven_before_a_run_is_made(tmp_path: Path, all_doors: Doors, version: Version) -> None:
    second = layered(all_doors, version)
    chain = RunDisk(place=0, chain=(second, version))
    all_doors["disks"].create_run(RUN, (chain,), uid=None)
    below = file_of(tmp_path, version)
    content = bytearray(below.read_bytes())
    content[-1] ^= 1  # not the header: only the checksum tells
    below.chmod(0o644)
    below.write_bytes(content)
    below.chmod(0o444)
    with pytest.raises(ImageDamaged, match="tiny v1"):
        all_doors["disks"].create_run(OTHER, (chain,), uid=None)
    assert all_doors["disks"].open_run(OTHER) is None


def test_a_draft_is_written_in_the_run_and_outlives_it(tmp_path: Path, all_doors: Doors, version: Version) -> None:
    disks, drafts = all_doors["disks"], all_doors["drafts"]
    draft = drafts.create("tiny.d1", (version,))
    over = RunDisk(place=1, chain=(version,), draft="tiny.d1")
    ((_, plain), (_, layers)) = disks.create_run(RUN, (disk(version), over), uid=None)
    assert layers[0].path.name == "overlay-1.qcow2"
    assert layers[0].path.samefile(draft.path)
    assert not plain[0].path.samefile(draft.path)
    assert layers[1].path == file_of(tmp_path, version)
    io(layers[0].path, "write -P 7 0 64k")
    with pytest.raises(InUse) as caught:
        disks.create_run(OTHER, (over,), uid=None)
    assert caught.value.by == str(RUN)
    assert disks.open_run(OTHER) is None
    disks.remove_run(RUN)
    io(draft.path, "read -P 7 0 64k")
    ((_, again),) = disks.create_run(OTHER, (over,), uid=None)
    io(again[0].path, "read -P 7 0 64k")


def test_making_a_drafts_run_again_keeps_the_draft(all_doors: Doors, version: Version) -> None:
    """A crash between the making of the folder and its start."""
    draft = all_doors["drafts"].create("tiny.d1", (version,))
    over = RunDisk(place=0, chain=(version,), draft="tiny.d1")
    all_doors["disks"].create_run(RUN, (over,), uid=None)
    io(draft.path, "write -P 7 0 64k")
    ((_, layers),) = all_doors["disks"].create_run(RUN, (over,), uid=None)
    assert layers[0].path.samefile(draft.path)
    io(layers[0].path, "read -P 7 0 64k")


def test_what_is_not_there_is_named(all_doors: Doors, version: Version) -> None:
    disks = all_doors["disks"]
    with pytest.raises(NotFound, match=r"tiny\.d7"):
        disks.create_run(RUN, (RunDisk(place=0, chain=(version,), draft="tiny.d7"),), uid=None)
    with pytest.raises(NotFound, match=r"lab-a-07\.g4"):
        disks.create_run(RUN, (RunDisk(place=0, chain=(version,), kept=OTHER),), uid=None)
    with pytest.raises(InvalidInput):
        disks.create_run(RUN, (RunDisk(place=0, chain=(version,), draft="../tiny.d1"),), uid=None)
    assert disks.open_run(RUN) is None
    disks.create_run(RUN, (disk(version),), uid=None)


@pytest.mark.parametrize("name", [b"/etc/shadow", b"json:{}", b"/images/other/v1-0123456789ab/disk.qcow2", b""])
def test_a_draft_whose_header_names_something_else_is_refused(all_doors: Doors, version: Version, name: bytes) -> None:
    """Its header is what a guest's QEMU may have written."""
    over = RunDisk(place=0, chain=(version,), draft="tiny.d1")
    draft = all_doors["drafts"].create("tiny.d1", (version,))
    all_doors["disks"].create_run(RUN, (over,), uid=None)
    all_doors["disks"].remove_run(RUN)
    draft.path.write_bytes(Qcow2(size=8 * MIB, backing=name or None, extensions=((0xE2792ACA, b"qcow2"),)).data())
    with pytest.raises(ImageDamaged, match=r"tiny\.d1"):
        all_doors["disks"].create_run(RUN, (over,), uid=None)
    assert all_doors["disks"].open_run(RUN) is None


def test_companions_go_from_the_version_to_the_draft_to_the_run_and_back(tmp_path: Path, all_doors: Doors, version: Version) -> None:
    disks, drafts = all_doors["disks"], all_doors["drafts"]
    variables, state = COMPANIONS
    first = drafts.create("tiny.d1", (version,))
    assert first.companions == ()
    over = RunDisk(place=0, chain=(version,), draft="tiny.d1")
    ((_, layers),) = disks.create_run(RUN, (over,), uid=None)
    folder = layers[0].path.parent
    (folder / variables).write_bytes(b"written by the machine")
    (folder / state).symlink_to("/etc/passwd")
    disks.remove_run(RUN)
    assert (first.path.parent / variables).read_bytes() == b"written by the machine"
    assert not os.path.lexists(first.path.parent / state)
    io(first.path, "write -P 9 0 64k")
    second = version_of(all_doors["store"].seal("tiny.d1", (version,), number=2, method=SealMethod.LAYER), number=2)
    assert second.companions == (variables,)
    ((_, layers),) = disks.create_run(OTHER, (RunDisk(place=0, chain=(second, version)),), uid=None)
    assert (layers[0].path.parent / variables).read_bytes() == b"written by the machine"
    assert (layers[0].path.parent / variables).stat().st_mode & 0o777 == 0o600
    (layers[0].path.parent / variables).write_bytes(b"a student's")
    disks.remove_run(OTHER)
    all_doors["store"].proven((second, version))
    next_one = drafts.create("tiny.d2", (second, version))
    assert (next_one.path.parent / variables).read_bytes() == b"written by the machine"


@pytest.mark.real
def test_a_draft_belongs_to_the_run_while_it_is_written(all_doors: Doors, version: Version) -> None:
    draft = all_doors["drafts"].create("tiny.d1", (version,))
    (draft.path.parent / COMPANIONS[0]).write_bytes(b"variables")
    ((_, layers),) = all_doors["disks"].create_run(RUN, (RunDisk(place=0, chain=(version,), draft="tiny.d1"),), uid=0x20000007)
    assert draft.path.stat().st_uid == 0x20000007
    assert draft.path.parent.stat().st_uid == os.geteuid()
    assert (layers[0].path.parent / COMPANIONS[0]).stat().st_uid == 0x20000007
    all_doors["disks"].remove_run(RUN)
    assert draft.path.stat().st_uid == os.geteuid()
    assert (draft.path.parent / COMPANIONS[0]).stat().st_uid == os.geteuid()


def test_a_kept_run_lies_between(tmp_path: Path, all_doors: Doors, version: Version) -> None:
    disks, kept = all_doors["disks"], all_doors["kept"]
    second = layered(all_doors, version)
    ((_, layers),) = disks.create_run(RUN, (RunDisk(place=0, chain=(second, version)),), uid=None)
    io(layers[0].path, "write -P 5 0 64k")
    assert kept.keep(RUN, Kept(run=RUN, profile="desk", disks=(), ended_at=AT)) is not None
    ((_, layers),) = disks.create_run(OTHER, (RunDisk(place=0, chain=(second, version), kept=RUN),), uid=None)
    assert [layer.path for layer in layers[1:]] == [
        tmp_path / "kept" / str(RUN) / "overlay-0.qcow2",
        file_of(tmp_path, second),
        file_of(tmp_path, version),
    ]
    io(layers[0].path, "read -P 5 0 64k", "read -P 0x42 1M 1M", "write -P 6 0 64k")
    assert kept.layers(RUN) == ((0, tuple(layers[1:])),)
    with pytest.raises(ImageDamaged, match="does not stand on tiny v1"):
        disks.create_run(OTHER, (RunDisk(place=0, chain=(version,), kept=RUN),), uid=None)
    # Kept once more, it is a chain of two kept ones.
    ((_, layers),) = disks.create_run(OTHER, (RunDisk(place=0, chain=(second, version), kept=RUN),), uid=None)
    io(layers[0].path, "write -P 8 128k 64k")
    assert kept.keep(OTHER, Kept(run=OTHER, profile="desk", disks=(), ended_at=AT, source=RUN)) is not None
    third = RunId("lab-a-07", 5)
    ((_, layers),) = disks.create_run(third, (RunDisk(place=0, chain=(second, version), kept=OTHER),), uid=None)
    assert len(layers) == 5
    io(layers[0].path, "read -P 5 0 64k", "read -P 8 128k 64k", "read -P 0x42 1M 1M")
    assert isinstance(layers[1], DiskLayer)
