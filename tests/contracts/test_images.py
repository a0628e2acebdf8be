# SPDX-License-Identifier: MIT
"""The contract labvirt.contracts.images, promise by promise, kept by every store there is. Uses nothing but the contract."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from labvirt.contracts.images import ImageStore, SealMethod, StoredVersion
from labvirt.disks import overlay
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Stage, Version
from labvirt.errors import AlreadyExists, Cancelled, ImageDamaged, InUse, InvalidInput, NotFound

MIB = 1 << 20

pytestmark = pytest.mark.real


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return VersionStore(tmp_path / "images", drafts=tmp_path / "drafts", runs=tmp_path / "runs", kept=tmp_path / "kept")


def remembered(stored: StoredVersion, number: int) -> Version:
    fields = {field.name: getattr(stored, field.name) for field in dataclasses.fields(stored)}
    return Version(image="tiny", number=number, stage=Stage.DRAFT, made_at=datetime(2026, 1, 1, tzinfo=UTC), **fields)


@pytest.fixture
def first(tmp_path: Path, store: ImageStore) -> Version:
    source = tmp_path / "source.raw"
    with source.open("wb") as file:
        file.truncate(64 * MIB)
        file.seek(5 * MIB)
        file.write(b"content" * 10000)
    return remembered(store.import_version(source, format="raw", image="tiny", number=1), 1)


def draft_over(tmp_path: Path, base: Version, name: str) -> Path:
    path = tmp_path / "drafts" / name / "disk.qcow2"
    path.parent.mkdir(parents=True)
    overlay.create(path, base=tmp_path / "images" / base.file, base_format="qcow2", virtual_bytes=base.virtual_bytes, uid=None)
    return path


def seen(tmp_path: Path, store: ImageStore, *chain: Version) -> bytes:
    target = tmp_path / f"seen-{len(list(tmp_path.glob('seen-*')))}"
    store.export(chain, target, format="raw")
    return target.read_bytes()


def test_an_imported_version_is_a_file_nobody_writes(tmp_path: Path, store: ImageStore, first: Version) -> None:
    file = tmp_path / "images" / first.file
    assert file.stat().st_mode & 0o777 == 0o444
    assert (first.format, first.virtual_bytes, first.size_bytes) == ("qcow2", 64 * MIB, file.stat().st_size)
    assert store.check(first) is None
    store.proven((first,))
    assert store.scrub(first) is None
    assert seen(tmp_path, store, first) == (tmp_path / "source.raw").read_bytes()
    assert [entry.file for entry in store.entries()] == [first.file]


def test_a_blank_version_is_an_empty_disk(tmp_path: Path, store: ImageStore) -> None:
    blank = remembered(store.blank_version(virtual_bytes=3 * MIB, image="tiny", number=1), 1)
    assert store.check(blank) is None
    assert seen(tmp_path, store, blank) == bytes(3 * MIB)
    for size in (0, -512, 1000, 1 << 60):
        with pytest.raises(InvalidInput):
            store.blank_version(virtual_bytes=size, image="tiny", number=2)


@pytest.mark.parametrize("method", [None, *SealMethod])
def test_a_sealed_draft_has_its_content(tmp_path: Path, store: ImageStore, first: Version, method: SealMethod | None) -> None:
    draft_over(tmp_path, first, "tiny.d1")
    try:
        stored = store.seal("tiny.d1", (first,), number=2, method=method)
    except InvalidInput as error:
        if method is not SealMethod.REFLINK:
            raise
        pytest.skip(error.sentence)
    second = remembered(stored, 2)
    chain = (second, first) if second.backing else (second,)
    assert seen(tmp_path, store, *chain) == seen(tmp_path, store, first)
    assert store.seal("tiny.d1", (first,), number=2, method=method) == stored
    if method is SealMethod.LAYER:
        assert second.backing == 1
        assert store.references()[first.file] == ("tiny v2", "tiny.d1")
        whole = remembered(store.flatten(chain), 2)
        assert (whole.backing, whole.file == second.file) == (None, False)
        assert seen(tmp_path, store, whole) == seen(tmp_path, store, first)
        assert store.check(second) is None, "the old file stays"


def test_what_is_stood_on_cannot_be_removed(tmp_path: Path, store: ImageStore, first: Version) -> None:
    draft = draft_over(tmp_path, first, "tiny.d1")
    with pytest.raises(InUse, match=r"tiny\.d1"):
        store.remove(first.file)
    assert store.check(first) is None
    draft.unlink()
    store.remove(first.file)
    store.remove(first.file)
    assert store.entries() == ()
    finding = store.check(first)
    assert finding is not None
    assert finding.subject == "tiny v1"
    with pytest.raises(ImageDamaged, match="tiny v1"):
        store.proven((first,))


def test_damage_is_named_and_stops_everything_that_would_spread_it(tmp_path: Path, store: ImageStore, first: Version) -> None:
    draft_over(tmp_path, first, "tiny.d1")
    file = tmp_path / "images" / first.file
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size - 5)
        opened.write(b"!")
    file.chmod(0o444)
    finding = store.scrub(first)
    assert finding is not None
    assert "tiny v1" in finding.sentence
    for each in (
        lambda: store.proven((first,)),
        lambda: store.flatten((first,)),
        lambda: store.export((first,), tmp_path / "out", format="raw"),
        lambda: store.seal("tiny.d1", (first,), number=2, method=SealMethod.FLATTEN),
    ):
        with pytest.raises(ImageDamaged, match="tiny v1"):
            each()
    assert not (tmp_path / "out").exists()


def test_progress_tells_and_ends(tmp_path: Path, store: ImageStore, first: Version) -> None:
    told: list[tuple[int, int]] = []
    store.export((first,), tmp_path / "out", format="qcow2", progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert 0 < told[-1][0] == told[-1][1]

    def enough(done: int, total: int) -> None:
        if done > total // 2:
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        store.export((first,), tmp_path / "none", format="qcow2", progress=enough)
    assert not (tmp_path / "none").exists()
    with pytest.raises(Cancelled):
        store.import_version(tmp_path / "source.raw", format="raw", image="tiny", number=2, progress=enough)
    assert [entry.file for entry in store.entries()] == [first.file]


def test_what_is_not_there_or_not_allowed(tmp_path: Path, store: ImageStore, first: Version) -> None:
    with pytest.raises(NotFound):
        store.seal("tiny.d1", (first,), number=2)
    with pytest.raises(InvalidInput):
        store.import_version(tmp_path / "none", format="raw", image="tiny", number=2)
    with pytest.raises((InvalidInput, AlreadyExists)):
        store.export((first,), tmp_path / "source.raw", format="raw")
    with pytest.raises(InvalidInput):
        store.remove(PurePosixPath("../../etc/passwd"))
    assert len(store.entries()) == 1
