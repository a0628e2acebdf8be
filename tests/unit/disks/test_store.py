# SPDX-License-Identifier: MIT
"""Versions survive being killed at any point, full disks and foreign hands; content is what was given."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks import manifest
from labvirt.disks.conversion import Bounds, convert
from labvirt.disks.manifest import Manifest
from labvirt.disks.staging import clean, staging
from labvirt.disks.store import VersionStore
from labvirt.errors import DriverTimeout, Exhausted, ImageDamaged, LabVirtError
from tests.unit.disks.images import MIB, program, store_in, version_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
def disks(tmp_path: Path) -> VersionStore:
    return store_in(tmp_path)


def make_source(path: Path, format: str, *options: str) -> None:
    program("qemu-img", "create", "-q", "-f", format, *options, str(path), "64M")
    program("qemu-io", "-f", format, "-c", "write -P 7 1M 3M", "-c", "write -P 9 50M 1M", str(path))


@pytest.mark.real
@pytest.mark.parametrize(
    "kind, format, options",
    [
        ("usual", "qcow2", ()),
        ("old", "qcow2", ("-o", "compat=0.10")),
        ("small-clusters", "qcow2", ("-o", "cluster_size=4k")),
        ("extended", "qcow2", ("-o", "extended_l2=on")),
        ("allocated", "qcow2", ("-o", "preallocation=full")),
        ("raw", "raw", ()),
        ("compressed", "qcow2", ()),
        ("zstd", "qcow2", ("-o", "compression_type=zstd")),
    ],
)
def test_the_content_is_that_of_the_source(tmp_path: Path, disks: VersionStore, kind: str, format: str, options: tuple[str, ...]) -> None:
    source = tmp_path / "source"
    make_source(source, format, *options)
    if kind in ("compressed", "zstd"):
        program("qemu-img", "convert", "-c", "-f", "qcow2", "-O", "qcow2", *options, str(source), str(tmp_path / "packed"))
        source = tmp_path / "packed"
    before = source.read_bytes()
    stored = disks.import_version(source, format=format, image="tiny", number=1)
    made = tmp_path / "images" / stored.file
    assert "identical" in program("qemu-img", "compare", "-f", format, "-F", "qcow2", str(source), str(made))
    assert source.read_bytes() == before
    assert stored.sha256 == program("sha256sum", str(made)).split()[0]
    entry = manifest.parse((made.parent / manifest.FILE_NAME).read_bytes())
    assert (entry.sha256, entry.image, entry.number) == (stored.sha256, "tiny", 1)
    assert sorted(path.name for path in (tmp_path / "images" / ".stage").iterdir()) == ["entrance.lock"]


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from labvirt.disks.store import VersionStore

point, folder = int(sys.argv[1]), Path(sys.argv[2])
disks = VersionStore(folder / "images", drafts=folder / "drafts", runs=folder / "runs", kept=folder / "kept")
seen = 0

def count(event, arguments):
    global seen
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.chown",
                           "fcntl.flock", "subprocess.Popen", "shutil.rmtree", "os.listdir", "os.scandir"):
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
disks.import_version(folder / "source", format="qcow2", image="tiny", number=1)
print(seen)
"""
"""Python tells an audit hook before it does anything to a file: every such moment is one point to be killed at."""


@pytest.mark.real
@pytest.mark.slow
def test_killed_at_any_point_leaves_a_whole_version_or_none(tmp_path: Path) -> None:
    make_source(tmp_path / "source", "qcow2")
    outcomes = {"none": 0, "whole": 0}
    for point in range(1, 200):
        folder = tmp_path / str(point)
        folder.mkdir()
        os.link(tmp_path / "source", folder / "source")
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AT, str(point), str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        images = folder / "images"
        made = list(images.glob("tiny/*")) if images.exists() else []
        outcomes["whole" if made else "none"] += 1
        for version in made:
            entry = manifest.parse((version / manifest.FILE_NAME).read_bytes())
            assert program("sha256sum", str(version / "disk.qcow2")).split()[0] == entry.sha256
            assert (version / "disk.qcow2").stat().st_mode & 0o777 == 0o444
        # The next one goes through and clears away what was left.
        disks = store_in(folder)
        stored = disks.import_version(folder / "source", format="qcow2", image="tiny", number=1)
        assert disks.check(version_of(stored)) is None
        assert [path.name for path in (images / ".stage").iterdir()] == ["entrance.lock"]
        assert len(list(images.glob("tiny/*"))) == 1
        if done.returncode == 0:
            break
    assert done.returncode == 0, "the import has more points than were tried"
    assert outcomes["none"] > 10
    assert outcomes["whole"] > 1


def test_a_stage_that_is_in_use_is_not_cleaned(tmp_path: Path) -> None:
    with staging(tmp_path) as first:
        (first / "work").write_text("going on")
        assert clean(tmp_path) == ()
        with staging(tmp_path) as second:
            assert second != first
            assert (first / "work").exists()
    assert not first.exists()
    left = tmp_path / ".stage" / "0123456789abcdef"
    left.mkdir()
    (left / "disk.qcow2").write_text("of somebody who was killed")
    assert clean(tmp_path) == ("0123456789abcdef",)
    assert [path.name for path in (tmp_path / ".stage").iterdir()] == ["entrance.lock"]


@pytest.mark.real
def test_a_version_that_is_in_the_way_and_damaged_is_not_taken(tmp_path: Path, disks: VersionStore) -> None:
    make_source(tmp_path / "source", "qcow2")
    stored = disks.import_version(tmp_path / "source", format="qcow2", image="tiny", number=1)
    file = tmp_path / "images" / stored.file
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        opened.write(b"!")
    with pytest.raises(ImageDamaged, match="tiny v1 exists already and is damaged") as caught:
        disks.import_version(tmp_path / "source", format="qcow2", image="tiny", number=1)
    assert str(file.parent) in caught.value.hint
    assert [path.name for path in (tmp_path / "images" / ".stage").iterdir()] == ["entrance.lock"]
    disks.import_version(tmp_path / "source", format="qcow2", image="tiny", number=2)


@pytest.mark.real
@pytest.mark.parametrize("damage", ["gone", "empty", "text", "list", "of-another"])
def test_a_manifest_that_is_not_the_files_is_noticed(tmp_path: Path, disks: VersionStore, damage: str) -> None:
    make_source(tmp_path / "source", "qcow2")
    stored = disks.import_version(tmp_path / "source", format="qcow2", image="tiny", number=1)
    version = version_of(stored)
    assert disks.check(version) is None
    file = (tmp_path / "images" / stored.file).parent / manifest.FILE_NAME
    text = file.read_text()
    file.unlink()
    if damage != "gone":
        other = text.replace(stored.sha256, "0" * 64)
        file.write_text({"empty": "", "text": "hello", "list": "[[" * 100000, "of-another": other}[damage])
    finding = disks.check(version)
    assert finding is not None
    assert finding.code == ("image-unreadable" if damage == "gone" else "image-manifest")
    assert "tiny v1" in finding.sentence


def test_a_manifest_is_read_back_and_nothing_else_is() -> None:
    entry = Manifest(image="tiny", number=1, format="qcow2", size_bytes=5, virtual_bytes=512, sha256="a" * 64, head_sha256="b" * 64)
    text = manifest.render(entry)
    assert manifest.parse(text) == entry
    for wrong in ("", "{}", "null", "[]", text.replace('"schema": 2', '"schema": 3'), text.replace("512", '"512"'), text[:-3]):
        with pytest.raises(ImageDamaged):
            manifest.parse(wrong)
    assert set(asdict(entry)) < set(json.loads(text))
    old = {"schema": 1, **{name: value for name, value in asdict(entry).items() if name not in ("backing", "companions", "origin")}}
    assert manifest.parse(json.dumps(old)) == entry
    layer = replace(entry, backing="../v1-0123456789ab/disk.qcow2", companions={"uefi-vars.fd": "c" * 64})
    assert manifest.parse(manifest.render(layer)) == layer
    for wrong in ({"backing": 5}, {"companions": {"uefi-vars.fd": "short"}}, {"companions": ["uefi-vars.fd"]}, {"more": 1}):
        with pytest.raises(ImageDamaged):
            manifest.parse(json.dumps({**json.loads(text), **wrong}))


ON_A_FULL_DISK = """
import json, sys
from pathlib import Path
from labvirt.disks.store import VersionStore
from labvirt.errors import Exhausted

place, source = Path(sys.argv[1]), Path(sys.argv[2])
disks = VersionStore(place / "images", drafts=place / "drafts", runs=place / "runs", kept=place / "kept")
def left():
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
try:
    disks.import_version(source, format="raw", image="tiny", number=1)
    print(json.dumps(["made", left()]))
except Exhausted as error:
    print(json.dumps([error.resource, left()]))
"""


@pytest.mark.real
@pytest.mark.slow
def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    """Sizes around what is needed: the copy and the result, 8 MiB each, beside the reserve of 64 MiB."""
    source = tmp_path / "source.raw"
    source.write_bytes(os.urandom(8 * MIB))
    seen = {}
    for size in (1, 66, 71, 73, 76, 80, 100, 200):
        seen[size] = on_small_disk(tmp_path, f"{size}m", ON_A_FULL_DISK, str(source))
    assert seen[1] == seen[66] == seen[71] == ["disk", []]
    for size in (73, 76, 80):
        assert seen[size][0] in ("disk", "made")
        assert seen[size][0] == "made" or seen[size][1] == []
    assert "disk" in {seen[size][0] for size in (73, 76)}, "no size met the end while converting"
    assert seen[200][0] == "made"
    assert len(seen[200][1]) == 2


def on_small_disk(tmp_path: Path, size: str, script: str, *arguments: str) -> list[object]:
    """Runs the script with a tmpfs of `size` in a mount namespace that ends with it."""
    place = tmp_path / "small"
    place.mkdir(exist_ok=True)
    mount = 'mount -t tmpfs -o size="$1" tmpfs "$2" && exec "$3" -c "$4" "$2" "${@:5}"'
    words = ["unshare", "--mount", "bash", "-c", mount, "bash", size, str(place), sys.executable, script, *arguments]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


@pytest.mark.real
def test_a_disk_of_much_promise_and_little_content_costs_little(tmp_path: Path, disks: VersionStore) -> None:
    source = tmp_path / "sparse.qcow2"
    program("qemu-img", "create", "-q", "-f", "qcow2", str(source), "3T")
    stored = disks.import_version(source, format="qcow2", image="tiny", number=1)
    assert stored.size_bytes < 8 * MIB
    program("qemu-img", "create", "-q", "-f", "qcow2", str(source), "5T")
    with pytest.raises(ImageDamaged, match="5120 GiB"):
        disks.import_version(source, format="qcow2", image="tiny", number=2)


@pytest.mark.real
def test_qemu_img_has_bounds(tmp_path: Path) -> None:
    source, out = tmp_path / "source.raw", tmp_path / "out"
    source.write_bytes(os.urandom(4 * MIB))
    out.mkdir()
    chain = (DiskLayer(path=source, format="raw"),)
    convert(chain, out / "good", name="disk", bounds=Bounds())
    with pytest.raises(Exhausted):
        convert(chain, out / "big", name="disk", bounds=Bounds(file_bytes=MIB))
    with pytest.raises(LabVirtError):
        convert(chain, out / "poor", name="disk", bounds=Bounds(address_bytes=8 * MIB))
    with pytest.raises(DriverTimeout):
        convert(chain, out / "late", name="disk", bounds=Bounds(seconds=0))
    assert [path.name for path in out.iterdir()] == ["good"]


def test_what_a_dead_work_left_in_the_stage_is_tidied_and_a_living_one_is_not_touched(tmp_path: Path) -> None:
    made = VersionStore(tmp_path / "images", drafts=tmp_path / "drafts", runs=tmp_path / "runs", kept=tmp_path / "kept")
    dead = tmp_path / "images" / ".stage" / "0123456789abcdef"
    with staging(tmp_path / "images") as living:
        dead.mkdir()
        (dead / "half.qcow2").write_bytes(b"half")
        made.tidy()
        assert not dead.exists()
        assert living.is_dir()
