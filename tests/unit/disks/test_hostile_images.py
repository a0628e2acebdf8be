# SPDX-License-Identifier: MIT
"""A corpus of hostile files: none is accepted, none brings out a byte of another file, none makes us wait."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks import second_opinion
from labvirt.disks.conversion import Bounds, convert
from labvirt.disks.inspection import inspect, open_regular
from labvirt.disks.store import VersionStore
from labvirt.errors import DiskError, ImageDamaged, InvalidInput, LabVirtError
from tests.unit.disks.images import CANARY, CLUSTER, MIB, Qcow2, hostile, store_in, version_of


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_bytes(CANARY * 64)
    return path


def test_the_corpus_is_refused_with_a_sentence_and_good_files_are_not(tmp_path: Path, canary: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    disks = store_in(tmp_path)
    corpus = hostile(folder, canary)
    assert len(corpus) > 60
    for name, (path, kind) in corpus.items():
        error = refusal(disks, path, kind)
        assert error is not None, f"{name} was accepted"
        assert error.hint or isinstance(error, InvalidInput), name
        assert CANARY.decode() not in f"{error.sentence} {error.hint}", name
        assert error.sentence.isprintable(), name
    assert leaked(tmp_path / "images") == []
    for name, content, kind in good():
        (folder / name).write_bytes(content)
        assert judged(folder / name, kind) is None, name


def judged(path: Path, kind: str) -> LabVirtError | None:
    """What both readers say, without any program."""
    try:
        descriptor = open_regular(path)
        try:
            second_opinion.agree(descriptor, inspect(descriptor, format=kind, name=path.name), name=path.name)
        finally:
            os.close(descriptor)
    except LabVirtError as error:
        return error
    return None


def good() -> list[tuple[str, bytes, str]]:
    return [
        ("version-3", Qcow2().data(), "qcow2"),
        ("version-2", Qcow2(version=2).data(), "qcow2"),
        ("longer-header", Qcow2(header_length=112).data(), "qcow2"),
        ("unknown-extension", Qcow2(extensions=((0x12345678, b"whatever"),)).data(), "qcow2"),
        ("raw", bytes(MIB), "raw"),
    ]


@pytest.mark.parametrize("file", ["backing-file", "data-file-named", "encrypted-aes", "snapshots", "size-2-eib", "raw-that-is-qcow2"])
def test_the_sentence_says_what_and_what_to_do(tmp_path: Path, canary: Path, file: str) -> None:
    expected = {
        "backing-file": ("it needs another file", "qemu-img convert"),
        "data-file-named": ("its data is in another file", "qemu-img convert"),
        "encrypted-aes": ("it is encrypted", "Decrypt"),
        "snapshots": ("3 internal snapshots", "qemu-img convert"),
        "size-2-eib": ("2147483648 GiB", ""),
        "raw-that-is-qcow2": ("named raw but begins like qcow2", "real format"),
    }
    (tmp_path / "corpus").mkdir()
    path, kind = hostile(tmp_path / "corpus", canary)[file]
    descriptor = open_regular(path)
    try:
        with pytest.raises((ImageDamaged, InvalidInput)) as caught:
            inspect(descriptor, format=kind, name=path.name)
    finally:
        os.close(descriptor)
    words, hint = expected[file]
    assert words in caught.value.sentence
    assert hint in caught.value.hint


@pytest.mark.real
def test_nothing_of_the_corpus_comes_through_the_real_import_and_the_attacks_are_real(tmp_path: Path, canary: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    disks = store_in(tmp_path)
    for name, (path, kind) in hostile(folder, canary).items():
        assert refusal(disks, path, kind) is not None, f"{name} was accepted"
    assert leaked(tmp_path / "images") == []
    assert [path.name for path in (tmp_path / "images").rglob("*") if path.is_file()] in ([], ["entrance.lock"])

    # The controls: the same file does leak through qemu-img alone, and a harmless one does pass.
    (tmp_path / "plain").mkdir()
    subprocess.run(
        ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(folder / "backing-file-with-format"), str(tmp_path / "plain" / "out")],
        check=True,
        timeout=60,
    )
    assert leaked(tmp_path / "plain") == ["out"]
    (folder / "good").write_bytes(Qcow2().data())
    disks.import_version(folder / "good", format="qcow2", image="tiny", number=1)


@pytest.mark.real
def test_a_header_that_is_changed_after_its_inspection_finds_nothing_to_read(tmp_path: Path, canary: Path) -> None:
    """The second line of defence alone: qemu-img in its sandbox, given the worst file."""
    bad = tmp_path / "bad"
    bad.write_bytes(Qcow2(backing=os.fsencode(canary), extensions=((0xE2792ACA, b"raw"),)).data())
    good_one = tmp_path / "good"
    good_one.write_bytes(Qcow2().data())
    out = tmp_path / "out"
    out.mkdir()
    convert((DiskLayer(path=good_one, format="qcow2"),), out / "disk.qcow2", name="good", bounds=Bounds())
    assert (out / "disk.qcow2").exists()
    # qemu-img is told that nothing lies below: it makes a disk of zeros, and the name in the header is not even looked for.
    convert((DiskLayer(path=bad, format="qcow2"),), out / "other.qcow2", name="bad", bounds=Bounds())
    assert leaked(out) == []


@pytest.mark.real
@pytest.mark.parametrize("damage", ["l2-outside", "cut-in-half", "l1-entry-not-aligned"])
def test_tables_that_lead_outside_are_found(tmp_path: Path, damage: str) -> None:
    source = tmp_path / "source"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(source), "64M"], check=True, timeout=60)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 5 0 4M", str(source)], check=True, timeout=60, capture_output=True)
    disks = store_in(tmp_path)
    disks.import_version(source, format="qcow2", image="tiny", number=1)
    content = bytearray(source.read_bytes())
    if damage == "l2-outside":
        content[4 * CLUSTER : 4 * CLUSTER + 8] = (1 << 63 | 1 << 40).to_bytes(8, "big")
    elif damage == "cut-in-half":
        del content[len(content) // 2 :]
    else:
        content[3 * CLUSTER : 3 * CLUSTER + 8] = (1 << 63 | 4 * CLUSTER + 512).to_bytes(8, "big")
    source.write_bytes(content)
    with pytest.raises((ImageDamaged, DiskError)) as caught:
        disks.import_version(source, format="qcow2", image="tiny", number=2)
    assert caught.value.hint
    assert sorted(path.name[:2] for path in (tmp_path / "images" / "tiny").iterdir()) == ["v1"]


@pytest.mark.real
def test_a_raw_disk_stays_what_it_is_whatever_a_guest_wrote_later(tmp_path: Path, canary: Path) -> None:
    """CVE-2013-1922: a guest writes a qcow2 header into its disk; who guesses formats then opens the file it names."""
    source = tmp_path / "disk.raw"
    source.write_bytes(bytes(MIB))
    disks = store_in(tmp_path)
    version = version_of(disks.import_version(source, format="raw", image="tiny", number=1))
    assert version.format == "qcow2"  # what guests write is inside of it, never at its beginning
    source.write_bytes(Qcow2(backing=os.fsencode(canary)).data())
    with pytest.raises(InvalidInput, match="begins like qcow2"):
        disks.import_version(source, format="raw", image="tiny", number=2)


def refusal(disks: VersionStore, path: Path, kind: str) -> DiskError | InvalidInput | None:
    try:
        disks.import_version(path, format=kind, image="tiny", number=1)
    except (DiskError, InvalidInput) as error:
        return error
    return None


def leaked(folder: Path) -> list[str]:
    if not folder.exists():
        return []
    return [path.name for path in folder.rglob("*") if path.is_file() and CANARY in path.read_bytes()]
