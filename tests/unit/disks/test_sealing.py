# SPDX-License-Identifier: MIT
"""A draft becomes a version: by each method the same content, once, and never while somebody has it open."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labvirt.contracts.images import SealMethod
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Version
from labvirt.errors import Cancelled, DiskError, Exhausted, ImageDamaged, InUse, InvalidInput, LabVirtError, NotFound
from tests.unit.disks.images import CLUSTER, MIB, draft_in, left_in, program, source_in, store_in, version_of

ROOT = Path(__file__).parents[3]
CHANGES = ("write -P 8 40M 2M", "write -P 3 1M 64k", "write -z 2M 64k", "discard 2200k 64k")

pytestmark = pytest.mark.real


@pytest.fixture
def store(tmp_path: Path) -> VersionStore:
    return store_in(tmp_path)


@pytest.fixture
def first(tmp_path: Path, store: VersionStore) -> Version:
    return version_of(store.import_version(source_in(tmp_path), format="qcow2", image="tiny", number=1))


def flat(tmp_path: Path, file: Path) -> bytes:
    """What a guest sees, by a program that follows the names in the headers: an opinion that is not ours."""
    out = tmp_path / "seen.raw"
    program("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(file), str(out))
    content = out.read_bytes()
    out.unlink()
    return content


@pytest.mark.parametrize("method", [None, SealMethod.LAYER, SealMethod.FLATTEN])
def test_the_version_has_the_drafts_content_and_the_draft_is_not_touched(
    tmp_path: Path, store: VersionStore, first: Version, method: SealMethod | None
) -> None:
    draft = draft_in(tmp_path, first, "tiny.d1", *CHANGES)
    (draft.parent / "uefi-vars.fd").write_bytes(b"variables")
    (draft.parent / "else.txt").write_bytes(b"not ours")
    expected, before = flat(tmp_path, draft), (draft.read_bytes(), draft.stat().st_ino)
    told: list[tuple[int, int]] = []
    stored = store.seal("tiny.d1", (first,), number=2, method=method, progress=lambda done, total: told.append((done, total)))
    assert (draft.read_bytes(), draft.stat().st_ino) == before
    made = version_of(stored, number=2)
    assert flat(tmp_path, store.path(made)) == expected
    assert expected[40 * MIB : 42 * MIB] == b"\x08" * 2 * MIB
    assert store.check(made) is None
    store.proven((made, first) if made.backing else (made,))
    assert stored.backing == (None if method is SealMethod.FLATTEN else 1)
    assert stored.companions == ("uefi-vars.fd",)
    folder = store.path(made).parent
    assert sorted(path.name for path in folder.iterdir()) == ["disk.qcow2", "manifest.json", "uefi-vars.fd"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert store.path(made).stat().st_nlink == 1, "nobody may hold what was sealed under another name"
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]
    assert len({total for _, total in told}) == 1

    # Again under the same number: the same one. Another content: another folder.
    assert store.seal("tiny.d1", (first,), number=2, method=method) == stored
    (draft.parent / "uefi-vars.fd").write_bytes(b"other variables")
    other = store.seal("tiny.d1", (first,), number=2, method=method)
    assert (other.sha256, other.file != stored.file) == (stored.sha256, True)
    assert len(list((tmp_path / "images" / "tiny").iterdir())) == 3


def test_a_layer_names_its_parent_relatively_so_the_state_folder_may_move(tmp_path: Path, store: VersionStore, first: Version) -> None:
    expected = flat(tmp_path, draft_in(tmp_path, first, "tiny.d1", *CHANGES))
    second = version_of(store.seal("tiny.d1", (first,), number=2), number=2)
    expected_third = flat(tmp_path, draft_in(tmp_path, second, "tiny.d2", "write -P 5 60M 1M"))
    third = version_of(store.seal("tiny.d2", (second, first), number=3), number=3)
    assert third.backing == 2
    moved = tmp_path / "elsewhere"
    (tmp_path / "images").rename(moved)
    assert flat(tmp_path, moved / second.file) == expected
    assert flat(tmp_path, moved / third.file) == expected_third
    assert f"../{second.file.parent.name}/disk.qcow2" in program("qemu-img", "info", "-f", "qcow2", str(moved / third.file))


ON_XFS = """
import sys
from pathlib import Path
from labvirt.contracts.images import SealMethod
from tests.unit.disks.images import draft_in, program, source_in, store_in, version_of

place = Path(sys.argv[1])
store = store_in(place)
first = version_of(store.import_version(source_in(place, writes=("write -P 7 0 40M",)), format="qcow2", image="tiny", number=1))
draft = draft_in(place, first, "tiny.d1", "write -P 8 40M 2M")
before = store.path(first).read_bytes()
free = lambda: int(program("df", "--output=avail", "-B1", str(place)).split()[-1])
program("sync")
left = free()
stored = store.seal("tiny.d1", (first,), number=2)
made = version_of(stored, number=2)
assert stored.backing is None and store.check(made) is None
assert stored.size_bytes > 40 << 20
program("sync")
assert left - free() < 10 << 20, "the blocks are not shared"
assert store.path(first).read_bytes() == before
assert "identical" in program("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", str(draft), str(store.path(made)))
assert store.seal("tiny.d1", (first,), number=2) == stored
again = version_of(store.seal("tiny.d1", (first,), number=3, method=SealMethod.REFLINK), number=3)
assert again.backing is None and store.check(again) is None
print("shared")
"""


def test_blocks_are_shared_where_the_file_system_can(tmp_path: Path, store: VersionStore, first: Version) -> None:
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("needs mkfs.xfs: apt-get install xfsprogs")
    disk, place = tmp_path / "xfs.img", tmp_path / "xfs"
    with disk.open("wb") as file:
        file.truncate(512 * MIB)
    program("mkfs.xfs", "-q", str(disk))
    place.mkdir()
    # The mount ends with its namespace, and the loop device with the mount.
    mount = 'mount -o loop "$1" "$2" && exec "$3" -c "$4" "$2"'
    words = ["unshare", "--mount", "bash", "-c", mount, "bash", str(disk), str(place), sys.executable, ON_XFS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "shared\n", done.stderr
    if not _shares(tmp_path):
        draft_in(tmp_path, first, "tiny.d1", "write -P 8 0 64k")
        with pytest.raises(InvalidInput, match="cannot share blocks"):
            store.seal("tiny.d1", (first,), number=2, method=SealMethod.REFLINK)


def _shares(folder: Path) -> bool:
    (folder / "one").write_bytes(b"x" * 4096)
    return subprocess.run(["cp", "--reflink=always", folder / "one", folder / "two"], check=False, capture_output=True).returncode == 0


def test_a_draft_that_a_real_qemu_has_open_is_in_use_and_afterwards_it_is_not(tmp_path: Path, store: VersionStore, first: Version) -> None:
    draft = draft_in(tmp_path, first, "tiny.d1", *CHANGES)
    node = {"driver": "qcow2", "node-name": "disk", "file": {"driver": "file", "filename": str(draft)}}
    qemu = subprocess.Popen(
        [
            *("qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "tcg", "-machine", "none", "-qmp", "stdio"),
            *("-blockdev", str(node).replace("'", '"')),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert qemu.stdout is not None
        assert b"QMP" in qemu.stdout.readline()  # the disk is open by now
        with pytest.raises(InUse, match=r"tiny\.d1.*has it open"):
            store.seal("tiny.d1", (first,), number=2)
        assert [path.name for path in (tmp_path / "images" / "tiny").iterdir()] == [first.file.parent.name]
    finally:
        qemu.kill()
        qemu.wait()
        assert qemu.stdout is not None
        qemu.stdout.close()
        assert qemu.stdin is not None
        qemu.stdin.close()
    assert store.seal("tiny.d1", (first,), number=2).backing == 1


def write_at(offset: int, content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(content)

    return change


def rename_backing(name: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with path.open("r+b") as file:
            where = struct.unpack_from(">Q", file.read(16), 8)[0]
            file.seek(where)
            file.write(name)
            file.seek(16)
            file.write(struct.pack(">I", len(name)))

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (rename_backing(b"/etc/shadow"), "does not stand on tiny v1"),
        (rename_backing(b"json:{}"), "does not stand on tiny v1"),
        (rename_backing(b"nbd:127.0.0.1:10809"), "does not stand on tiny v1"),
        (rename_backing(b"../v1-0123456789ab/disk.qcow2"), "does not stand on tiny v1"),
        (write_at(8, bytes(12)), "does not stand on tiny v1"),
        (write_at(79, b"\x02"), "marked as corrupt"),
        (write_at(79, b"\x01"), "not closed properly"),
        (write_at(79, b"\x04"), "data is in another file"),
        (write_at(79, b"\x40"), "not known here"),
        (write_at(60, struct.pack(">I", 4)), "4 internal snapshots"),
        (write_at(32, struct.pack(">I", 1)), "encrypted"),
        (write_at(3 * CLUSTER, struct.pack(">Q", 1 << 63 | 1 << 40)), "tables are damaged"),
        (write_at(0, b"no!!"), "not a proper qcow2"),
        (lambda path: os.truncate(path, 100 * 1024), "outside the file"),
    ],
)
def test_a_draft_that_is_not_what_we_made_is_not_sealed(
    tmp_path: Path, store: VersionStore, first: Version, change: Callable[[Path], None], words: str
) -> None:
    draft = draft_in(tmp_path, first, "tiny.d1", *CHANGES)
    draft_in(tmp_path, first, "tiny.d2", *CHANGES)
    change(draft)
    for method in (None, SealMethod.FLATTEN):
        with pytest.raises(ImageDamaged, match=words):
            store.seal("tiny.d1", (first,), number=2, method=method)
    assert len(left_in(tmp_path / "images")) == 2
    store.seal("tiny.d2", (first,), number=2)


def test_a_draft_over_what_was_flattened_since_is_still_sealed(tmp_path: Path, store: VersionStore, first: Version) -> None:
    draft_in(tmp_path, first, "tiny.d1", "write -P 8 40M 2M")
    second = version_of(store.seal("tiny.d1", (first,), number=2), number=2)
    expected = flat(tmp_path, draft_in(tmp_path, second, "tiny.d2", "write -P 5 60M 1M"))
    whole = version_of(store.flatten((second, first)), number=2)
    assert whole.file != second.file
    third = version_of(store.seal("tiny.d2", (whole,), number=3), number=3)
    assert flat(tmp_path, store.path(third)) == expected
    assert store.references()[whole.file] == ("tiny v3",)
    assert store.references()[second.file] == ("tiny.d2",)


def test_asking_for_what_is_not_there(store: VersionStore, first: Version) -> None:
    with pytest.raises(NotFound, match=r"tiny\.d7"):
        store.seal("tiny.d7", (first,), number=2)
    for name in ("../../etc", "tiny", "tiny.d0", "a/b.d1"):
        with pytest.raises(InvalidInput):
            store.seal(name, (first,), number=2)


@pytest.mark.parametrize("verb", ["import", "seal", "flatten", "export"])
def test_whoever_cancels_leaves_nothing_behind(tmp_path: Path, store: VersionStore, first: Version, verb: str) -> None:
    draft_in(tmp_path, first, "tiny.d1", *CHANGES)
    steps = {
        "import": lambda progress: store.import_version(tmp_path / "source", format="qcow2", image="tiny", number=2, progress=progress),
        "seal": lambda progress: store.seal("tiny.d1", (first,), number=2, method=SealMethod.FLATTEN, progress=progress),
        "flatten": lambda progress: store.flatten((first,), progress=progress),
        "export": lambda progress: store.export((first,), tmp_path / "out" / "disk.raw", format="raw", progress=progress),
    }
    (tmp_path / "out").mkdir()
    before = left_in(tmp_path / "images")
    seen = 0
    for at in range(1000):
        seen = 0

        def progress(done: int, total: int, at: int = at) -> None:
            nonlocal seen
            seen += 1
            if seen > at:
                raise Cancelled("Enough.")

        if verb == "export" or at % 3 == 0:
            try:
                steps[verb](progress)
            except Cancelled:
                assert left_in(tmp_path / "images") == before, f"cancelled at {at}"
                assert list((tmp_path / "out").iterdir()) == [], f"cancelled at {at}"
            else:
                break
        if at > 60:  # conversions talk a lot
            steps[verb](lambda done, total: None)
            break
    assert seen >= 2


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_an_fsync_that_fails_is_final(
    tmp_path: Path, store: VersionStore, first: Version, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    draft_in(tmp_path, first, "tiny.d1", *CHANGES)
    store.proven((first,))  # a full disk only keeps that from being remembered
    before, real = left_in(tmp_path / "images"), os.fsync
    outcomes = []
    for at in range(1, 30):
        calls: list[int] = []

        def fails(descriptor: int, at: int = at, calls: list[int] = calls) -> None:
            calls.append(os.fstat(descriptor).st_ino)
            if len(calls) == at:
                raise OSError(number, os.strerror(number))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fails)
        try:
            store.seal("tiny.d1", (first,), number=2)
            outcomes.append("sealed")
        except (DiskError, Exhausted):
            outcomes.append("refused")
            assert calls[at:].count(calls[at - 1]) == 0, "what failed was tried again"
            assert left_in(tmp_path / "images") == before, f"fsync {at}"
        monkeypatch.setattr(os, "fsync", real)
        if outcomes[-1] == "sealed":
            break
    assert outcomes.count("sealed") == 1
    assert outcomes.count("refused") >= 5


def test_there_must_be_room(tmp_path: Path, store: VersionStore, first: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    draft_in(tmp_path, first, "tiny.d1", *CHANGES)
    before = left_in(tmp_path / "images")
    monkeypatch.setattr("labvirt.disks.copying._RESERVE", 1 << 60)
    tries: list[Callable[[], object]] = [
        lambda: store.seal("tiny.d1", (first,), number=2),
        lambda: store.import_version(tmp_path / "source", format="qcow2", image="tiny", number=2),
        lambda: store.blank_version(virtual_bytes=MIB, image="tiny", number=2),
        lambda: store.flatten((first,)),
        lambda: store.export((first,), tmp_path / "out", format="raw"),
    ]
    for each in tries:
        with pytest.raises(Exhausted, match=r"no space for .* needs about \d+ MiB, and 0 MiB are free"):
            each()
    assert left_in(tmp_path / "images") == before
    monkeypatch.undo()
    for each in tries:
        try:
            each()
        except LabVirtError as error:  # pragma: no cover
            pytest.fail(str(error))
