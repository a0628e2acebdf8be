# SPDX-License-Identifier: MIT
"""What was written to a version is found before the next launch, however well it was hidden; what was not is not read again."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from labvirt.disks import proofs
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged, LabVirtError
from tests.unit.disks.images import MIB, draft_in, store_in, version_of


@pytest.fixture
def store(tmp_path: Path) -> VersionStore:
    return store_in(tmp_path)


@pytest.fixture
def first(store: VersionStore) -> Version:
    return version_of(store.blank_version(virtual_bytes=64 * MIB, image="tiny", number=1))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inode of every file that is read for its checksum."""
    found: list[int] = []
    real = proofs.sha256_of

    def counted(descriptor: int, progress: object) -> str:
        found.append(os.fstat(descriptor).st_ino)
        return real(descriptor)

    monkeypatch.setattr(proofs, "sha256_of", counted)
    return found


def change_a_byte(path: Path, *, at: int = 150_000) -> None:
    """One byte; size, mtime and mode are put back."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_mode) == (before.st_size, before.st_mtime_ns, before.st_mode)


def test_a_file_is_read_once_per_boot(
    tmp_path: Path, store: VersionStore, first: Version, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.proven((first,))
    store.proven((first,))
    store_in(tmp_path).proven((first,))  # another process
    assert len(reads) == 1
    memory = tmp_path / "images" / ".proven.json"
    assert memory.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(proofs, "boot_id", lambda: "another boot")
    store.proven((first,))
    assert len(reads) == 2
    monkeypatch.undo()


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json", '{"boot": 1}', "[" * 100000, '{"boot": "x", "files": {}}'])
def test_a_memory_that_is_not_one_remembers_nothing(
    tmp_path: Path, store: VersionStore, first: Version, reads: list[int], text: str
) -> None:
    (tmp_path / "images" / ".proven.json").write_text(text)
    store.proven((first,))
    store.proven((first,))
    assert len(reads) == 1


def test_a_changed_byte_is_found_even_when_size_and_time_were_put_back(tmp_path: Path, store: VersionStore, first: Version) -> None:
    store.proven((first,))
    change_a_byte(store.path(first))
    assert store.check(first) is None, "the cheap check does not see it: that is what proofs are for"
    for _ in range(2):  # it is not believed the second time either
        with pytest.raises(ImageDamaged, match=r"tiny v1 is damaged: disk\.qcow2 does not have the checksum"):
            store.proven((first,))
    change_a_byte(store.path(first))  # and back again
    store.proven((first,))


def test_a_link_or_another_file_in_its_place_is_found(tmp_path: Path, store: VersionStore, first: Version) -> None:
    store.proven((first,))
    path = store.path(first)
    content = path.read_bytes()
    path.rename(tmp_path / "away")
    path.symlink_to(tmp_path / "away")
    with pytest.raises(ImageDamaged, match="is a link"):
        store.proven((first,))
    path.unlink()
    with pytest.raises(ImageDamaged, match="no file"):
        store.proven((first,))
    path.write_bytes(content)  # another inode with the right content
    store.proven((first,))


@pytest.mark.real
def test_every_file_of_the_chain_counts(tmp_path: Path, store: VersionStore, first: Version, reads: list[int]) -> None:
    draft = draft_in(tmp_path, first, "tiny.d1", "write -P 8 0 64k")
    (draft.parent / "uefi-vars.fd").write_bytes(b"variables")
    second = version_of(store.seal("tiny.d1", (first,), number=2), number=2)
    store.proven((second, first))
    assert len(reads) == 3
    (store.path(second).parent / "uefi-vars.fd").chmod(0o644)
    (store.path(second).parent / "uefi-vars.fd").write_bytes(b"Variables")
    with pytest.raises(ImageDamaged, match=r"tiny v2 is damaged: uefi-vars\.fd"):
        store.proven((second, first))
    (store.path(second).parent / "uefi-vars.fd").write_bytes(b"variables")
    store.proven((second, first))
    change_a_byte(store.path(first))
    with pytest.raises(ImageDamaged, match="tiny v1 is damaged"):
        store.proven((second, first))
    (store.path(second).parent / "manifest.json").unlink()
    with pytest.raises(ImageDamaged, match="tiny v2 is damaged: it has no manifest"):
        store.proven((second, first))


def test_thirty_guests_that_start_at_once_read_it_once(store: VersionStore, first: Version, reads: list[int]) -> None:
    wrong: list[LabVirtError] = []

    def launch() -> None:
        try:
            store.proven((first,))
        except LabVirtError as error:
            wrong.append(error)

    threads = [threading.Thread(target=launch) for _ in range(30)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert wrong == []
    assert len(reads) == 1


def test_scrubbing_reads_everything_again_and_what_it_finds_stops_launches(tmp_path: Path, store: VersionStore, first: Version) -> None:
    store.proven((first,))
    told: list[tuple[int, int]] = []
    assert store.scrub(first, lambda done, total: told.append((done, total))) is None
    assert told[-1] == (first.size_bytes, first.size_bytes)
    # A disk that returns other data than was written leaves the inode as it was: only the memory can be fooled so.
    memory = tmp_path / "images" / ".proven.json"
    change_a_byte(store.path(first))
    found = os.stat(store.path(first))
    remembered = json.loads(memory.read_text())
    remembered["files"][str(first.file)]["inode"] = [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    memory.write_text(json.dumps(remembered))
    store.proven((first,))
    finding = store.scrub(first)
    assert finding is not None
    assert (finding.code, finding.subject) == ("image-content", "tiny v1")
    assert "checksum" in finding.sentence
    with pytest.raises(ImageDamaged, match="tiny v1"):
        store.proven((first,))
    store.path(first).unlink()
    finding = store.scrub(first)
    assert finding is not None
    assert finding.code == "image-missing"


def test_the_memory_stays_small(tmp_path: Path, store: VersionStore, first: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "_MOST", 3)
    versions = [first, *(version_of(store.blank_version(virtual_bytes=n * MIB, image="tiny", number=n), number=n) for n in range(2, 7))]
    for version in versions:
        store.proven((version,))
    memory = json.loads((tmp_path / "images" / ".proven.json").read_text())
    assert list(memory["files"]) == [str(version.file) for version in versions[-3:]]
    store.remove(versions[-1].file)
    memory = json.loads((tmp_path / "images" / ".proven.json").read_text())
    assert len(memory["files"]) == 2
