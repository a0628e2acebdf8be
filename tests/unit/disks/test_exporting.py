# SPDX-License-Identifier: MIT
"""Versions given away and flattened: what comes out is what a guest would see, compared before it has a name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from labvirt.disks import conversion
from labvirt.disks.store import VersionStore
from labvirt.domain.image import Version
from labvirt.errors import ImageDamaged, InvalidInput
from tests.unit.disks.images import MIB, draft_in, left_in, program, source_in, store_in, version_of

pytestmark = pytest.mark.real


@pytest.fixture
def store(tmp_path: Path) -> VersionStore:
    return store_in(tmp_path)


@pytest.fixture
def chain(tmp_path: Path, store: VersionStore) -> tuple[Version, ...]:
    """Three files high, with a companion at the top."""
    found = (version_of(store.import_version(source_in(tmp_path), format="qcow2", image="tiny", number=1)),)
    for number in (2, 3):
        draft = draft_in(tmp_path, found[0], f"tiny.d{number}", f"write -P {number} {number * 10}M 1M")
        (draft.parent / "tpm2.state").write_bytes(b"state")
        found = (version_of(store.seal(draft.parent.name, found, number=number), number=number), *found)
    return found


def test_flattening_makes_a_second_folder_with_the_same_content(tmp_path: Path, store: VersionStore, chain: tuple[Version, ...]) -> None:
    whole = version_of(store.flatten(chain), number=3)
    assert (whole.backing, whole.companions) == (None, ("tpm2.state",))
    assert whole.file.parent != chain[0].file.parent
    assert whole.file.parent.name.startswith("v3-")
    assert store.check(whole) is None
    assert store.check(chain[0]) is None, "the old one stays until nobody stands on it"
    for version in chain[1:]:
        store.path(version).rename(store.path(version).with_suffix(".away"))
    store.proven((whole,))
    out = tmp_path / "seen.raw"
    program("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(store.path(whole)), str(out))
    content = out.read_bytes()
    assert (content[MIB], content[20 * MIB], content[30 * MIB], content[40 * MIB]) == (7, 2, 3, 0)


def test_a_copy_that_is_not_like_its_original_gets_no_name(
    tmp_path: Path, store: VersionStore, chain: tuple[Version, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = left_in(tmp_path / "images"), conversion.convert

    def sloppy(layers: object, target: Path, **how: object) -> None:
        real(layers, target, **how)  # type: ignore[arg-type]
        program("qemu-io", "-f", "qcow2", "-c", "write -P 99 5M 64k", str(target))

    monkeypatch.setattr(conversion, "convert", sloppy)
    with pytest.raises(ImageDamaged, match="the copy is not like its original"):
        store.flatten(chain)
    assert left_in(tmp_path / "images") == before
    monkeypatch.undo()
    store.flatten(chain)


@pytest.mark.parametrize("format, compress", [("qcow2", False), ("qcow2", True), ("raw", False)])
def test_an_export_is_complete(tmp_path: Path, store: VersionStore, chain: tuple[Version, ...], format: str, compress: bool) -> None:
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "tiny.img"
    made = store.export(chain, target, format=format, compress=compress)
    assert made.path == target
    assert made.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert made.size_bytes == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["tiny.img"]
    assert "identical" in program("qemu-img", "compare", "-f", format, "-F", "qcow2", str(target), str(store.path(chain[0])))
    assert "backing" not in program("qemu-img", "info", "-f", format, str(target))
    with pytest.raises(InvalidInput, match="exists already"):
        store.export(chain, target, format=format)
    assert made.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()


def test_what_cannot_be_exported_is_said_first(tmp_path: Path, store: VersionStore, chain: tuple[Version, ...]) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    for target, format, compress in (
        (tmp_path / "none" / "x", "raw", False),
        (tmp_path / "link", "raw", False),
        (tmp_path / "x", "vmdk", False),
        (tmp_path / "x", "raw", True),
    ):
        with pytest.raises(InvalidInput):
            store.export(chain, target, format=format, compress=compress)
    file = store.path(chain[2])
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size - 1)
        opened.write(b"!")
    with pytest.raises(ImageDamaged, match="tiny v1 is damaged"):
        store.export(chain, tmp_path / "x", format="raw")
    with pytest.raises(ImageDamaged, match="tiny v1 is damaged"):
        store.flatten(chain)
    assert not (tmp_path / "x").exists()


def test_what_a_dead_export_left_goes_with_the_next(tmp_path: Path, store: VersionStore, chain: tuple[Version, ...]) -> None:
    out = tmp_path / "out"
    (out / ".labvirt-export-0123456789ab").mkdir(parents=True)
    (out / ".labvirt-export-0123456789ab" / "disk").write_bytes(b"half")
    (out / ".labvirt-export-0123456789ab.lock").touch()
    store.export(chain, out / "tiny.raw", format="raw")
    assert [path.name for path in out.iterdir()] == ["tiny.raw"]
