# SPDX-License-Identifier: MIT
"""What contracts.offline.OfflineFiles promises: real file systems, bare and in partitions, in overlays over versions, hostile ones too."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks import offline, offline_jail
from labvirt.disks.offline import JailedFiles
from labvirt.disks.offline_listing import entries, partitions
from labvirt.errors import Cancelled, DiskError, DriverTimeout, Exhausted, HostNotReady, InUse, InvalidInput, NotFound, Unsupported

MIB = 1 << 20
WORK = os.urandom(300_000)
ODD = [b"caf\xc3\xa9", b"bad\xff\xfename", b"star*?[x]", b"-rf", b'quote"x', b"sp ace", b"back\\slash", b"@list", b"under_score", b"!x"]

pytestmark = pytest.mark.real


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin") is None:
            pytest.skip(f"{program} is not installed")


def program(*argv: str | Path) -> bytes:
    done = subprocess.run([str(word) for word in argv], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def files() -> JailedFiles:
    return JailedFiles()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a student might have, and what a nasty one might."""
    root = tmp_path / "tree"
    (root / "home" / "student" / "deep" / "er").mkdir(parents=True)
    (root / "home" / "student" / "work.odt").write_bytes(WORK)
    (root / "home" / "student" / "deep" / "er" / "x").write_bytes(b"deep")
    (root / "odd").mkdir()
    for name in ODD:
        (root / "odd" / os.fsdecode(name)).write_bytes(name)
    (root / "odd" / "link").symlink_to("/etc/passwd")
    (root / "odd" / "up").symlink_to("../../..")
    os.mkfifo(root / "odd" / "fifo")
    return root


@pytest.fixture
def ext4(tmp_path: Path, tree: Path) -> Path:
    path = tmp_path / "ext4.raw"
    make_ext4(path, tree)
    return path


def make_ext4(path: Path, tree: Path | None = None, *options: str) -> None:
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    program("mkfs.ext4", "-q", "-F", *options, *(("-d", tree) if tree is not None else ()), path)


def raw(path: Path) -> tuple[DiskLayer, ...]:
    return (DiskLayer(path=path, format="raw"),)


def names(found: tuple[offline.OfflineEntry, ...]) -> list[str]:
    return [each.path for each in found]


def test_a_file_system_in_an_overlay_over_a_version(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    base, overlay = tmp_path / "base.qcow2", tmp_path / "overlay.qcow2"
    program("qemu-img", "convert", "-O", "qcow2", ext4, base)
    program("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", overlay)
    layers = (DiskLayer(path=overlay, format="qcow2"), DiskLayer(path=base, format="qcow2"))
    before = {path: path.read_bytes() for path in (overlay, base)}
    (disk,) = files.list(layers)
    assert (disk.path, disk.folder, disk.size_bytes) == ("1", True, 32 * MIB)
    assert names(files.list(layers, "1")) == ["1/home", "1/lost+found", "1/odd"]
    (student,) = files.list(layers, "1/home")
    assert (student.path, student.folder) == ("1/home/student", True)
    deep, work = files.list(layers, "1/home/student/")
    assert (work.path, work.folder, work.size_bytes) == ("1/home/student/work.odt", False, len(WORK))
    assert work.modified.startswith("20")
    assert deep.folder
    told: list[tuple[int, int]] = []
    target = tmp_path / "out" / "rescued"
    assert files.fetch(layers, "1/home/student", target, lambda done, total: told.append((done, total))) == len(WORK) + 4
    assert (target / "student" / "work.odt").read_bytes() == WORK
    assert (target / "student" / "deep" / "er" / "x").read_bytes() == b"deep"
    assert told[-1] == (len(WORK) + 4, len(WORK) + 4)
    assert sorted(told) == told
    target = tmp_path / "one"
    target.mkdir()
    assert files.fetch(layers, "1/home/student/work.odt", target) == len(WORK)
    assert [path.name for path in target.iterdir()] == ["work.odt"]
    assert {path: path.read_bytes() for path in before} == before
    assert not list(tmp_path.rglob("*.part"))


def test_odd_names_survive_and_nothing_else_comes_out(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    found = files.list(raw(ext4), "1/odd")
    assert sorted(names(found)) == sorted("1/odd/" + os.fsdecode(name) for name in ODD)
    target = tmp_path / "all"
    files.fetch(raw(ext4), "1", target)
    assert sorted(os.listdir(os.fsencode(target / "1" / "odd"))) == sorted(ODD)
    for each in found:
        one = tmp_path / "one"
        size = files.fetch(raw(ext4), each.path, one)
        name = os.fsencode(each.path.removeprefix("1/odd/"))
        assert os.listdir(os.fsencode(one)) == [name]
        content = Path(os.fsdecode(os.path.join(os.fsencode(one), name)))
        assert content.read_bytes() == name
        assert size == len(name)
        assert content.stat().st_mode & 0o7777 == 0o600
        shutil.rmtree(one)
    for left_out in ("link", "up", "fifo"):
        with pytest.raises(NotFound):
            files.fetch(raw(ext4), f"1/odd/{left_out}", tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "evil", [b"../../../../etcx", b"/abs/olute/pathx", b"new\nline\n\rnames!", b"nul\0nul\0nul\0nul\0", b"Path = ../xxxxxx"]
)
def test_names_that_would_escape_do_not(tmp_path: Path, files: JailedFiles, evil: bytes) -> None:
    """The name is patched into the directory itself: no tool would write it. What no file system allows may spoil the whole of it."""
    tree, image, plain = tmp_path / "hostile", tmp_path / "hostile.raw", b"AAAA-harmless-xx"
    (tree / "dir").mkdir(parents=True)
    (tree / "dir" / os.fsdecode(plain)).write_bytes(b"content")
    (tree / "dir" / "harmless").write_bytes(b"fine")
    make_ext4(image, tree, "-O", "^metadata_csum,^dir_index")
    assert len(files.list(raw(image), "1/dir")) == 2
    content = image.read_bytes()
    assert len(plain) == len(evil)
    assert plain in content
    image.write_bytes(content.replace(plain, evil))
    cage = tmp_path / "cage"
    cage.mkdir()
    try:
        listed = names(files.list(raw(image), "1/dir"))
        files.fetch(raw(image), "1/dir", cage / "target")
    except DiskError:
        assert b"/" in evil or b"\0" in evil
        assert os.listdir(cage) == []
    else:
        assert "1/dir/harmless" in listed
        assert not any(".." in path.split("/") or "\n" in path or "\0" in path for path in listed)
        assert (cage / "target" / "dir" / "harmless").read_bytes() == b"fine"
        assert os.listdir(cage) == ["target"]
        assert os.listdir(cage / "target") == ["dir"]
        assert all(not path.is_symlink() for path in cage.rglob("*"))
    if b"\n" in evil:  # a name that a student may really give
        (line,) = [path for path in listed if "names!" in path]
        assert files.fetch(raw(image), line, tmp_path / "one") == 7
        assert os.listdir(os.fsencode(tmp_path / "one")) == [evil]
    assert not Path("/etcx").exists()
    assert not Path("/abs").exists()


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_a_whole_disk_shows_its_partitions(tmp_path: Path, files: JailedFiles, ext4: Path, label: str) -> None:
    need("sfdisk", "mkfs.vfat", "mcopy")
    fat, disk = tmp_path / "fat.raw", tmp_path / "disk.raw"
    make_fat(tmp_path, fat)
    with disk.open("wb") as file:
        file.truncate(128 * MIB)
    layout = {
        "gpt": "label: gpt\nsize=32M\nsize=8M\nsize=34M\n",
        "dos": "label: dos\n1: size=32M,type=83\n2: size=90M,type=5\n5: size=8M,type=83\n6: size=34M,type=c\n",
    }
    subprocess.run(["sfdisk", "-q", str(disk)], input=layout[label], text=True, check=True, capture_output=True, timeout=60)
    table = partitions(program("partx", "--raw", "--noheadings", "-o", "NR,START,SECTORS", disk))
    by_size = {part.size: part for part in table}
    first, last = by_size[32 * MIB], by_size[34 * MIB]
    empty = by_size[8 * MIB]
    with disk.open("r+b") as file:
        for part, source in ((first, ext4), (last, fat)):
            file.seek(part.start)
            file.write(source.read_bytes())
    assert {(each.path, each.size_bytes) for each in files.list(raw(disk))} == {(str(part.number), part.size) for part in table}
    assert last.number == (3 if label == "gpt" else 6)
    assert f"{first.number}/home" in names(files.list(raw(disk), str(first.number)))
    assert f"{last.number}/docs" in names(files.list(raw(disk), str(last.number)))
    files.fetch(raw(disk), f"{last.number}/docs", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out" / "docs").iterdir()} == {"Čeština dlouhé jméno.txt"}
    with pytest.raises(Unsupported, match="no file system"):
        files.list(raw(disk), str(empty.number))
    with pytest.raises(NotFound):
        files.list(raw(disk), "9")


def make_fat(folder: Path, image: Path) -> None:
    (folder / "text").write_bytes(b"hello")
    with image.open("wb") as file:
        file.truncate(34 * MIB)
    program("mkfs.vfat", "-F", "32", image)
    program("mmd", "-i", image, "::/docs")
    program("mcopy", "-i", image, folder / "text", "::/docs/Čeština dlouhé jméno.txt")


def test_fat(tmp_path: Path, files: JailedFiles) -> None:
    need("mkfs.vfat", "mcopy")
    make_fat(tmp_path, tmp_path / "fat.raw")
    layers = raw(tmp_path / "fat.raw")
    (entry,) = files.list(layers, "1/docs")
    assert (entry.path, entry.size_bytes) == ("1/docs/Čeština dlouhé jméno.txt", 5)
    assert files.fetch(layers, entry.path, tmp_path / "out") == 5
    assert (tmp_path / "out" / "Čeština dlouhé jméno.txt").read_bytes() == b"hello"


def test_ntfs(tmp_path: Path, files: JailedFiles) -> None:
    need("mkntfs", "ntfs-3g")
    image, mount = tmp_path / "ntfs.raw", tmp_path / "mount"
    with image.open("wb") as file:
        file.truncate(32 * MIB)
    program("mkntfs", "-F", "-q", image)
    mount.mkdir()
    if subprocess.run(["ntfs-3g", str(image), str(mount)], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("FUSE does not work here")
    try:
        home = mount / "Users" / "student"
        home.mkdir(parents=True)
        (home / "práce.docx").write_bytes(WORK)
        for number in range(200):  # more than an index root holds
            (home / f"photo-{number}.jpg").write_bytes(b"%d" % number)
        (home / "link").symlink_to("/etc/passwd")
    finally:
        program("umount", mount)
    found = files.list(raw(image), "1/Users/student")
    assert len(found) >= 201
    assert not [each for each in files.list(raw(image), "1") if "SYSTEM" in each.path]
    assert files.fetch(raw(image), "1/Users/student", tmp_path / "out") >= len(WORK)
    assert (tmp_path / "out" / "student" / "práce.docx").read_bytes() == WORK
    assert (tmp_path / "out" / "student" / "photo-199.jpg").read_bytes() == b"199"
    assert not (tmp_path / "out" / "student" / "link").is_symlink()


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir()
    if subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("loop devices do not work here")
    try:
        yield folder
    finally:
        program("umount", folder)


def test_what_is_in_the_journal_only_is_seen(tmp_path: Path, files: JailedFiles) -> None:
    """A machine that was switched off a moment after its student saved."""
    live, cut = tmp_path / "live.raw", tmp_path / "cut.raw"
    make_ext4(live)
    with mounted(live, tmp_path / "mount") as mount, (mount / "late.txt").open("wb") as file:
        file.write(b"saved just now")
        file.flush()
        os.fsync(file.fileno())
        shutil.copyfile(live, cut)
    before = cut.read_bytes()
    assert b"needs_recovery" in program("dumpe2fs", "-h", cut)
    assert names(files.list(raw(cut), "1")) == ["1/late.txt", "1/lost+found"]
    assert files.fetch(raw(cut), "1/late.txt", tmp_path / "out") == 14
    assert (tmp_path / "out" / "late.txt").read_bytes() == b"saved just now"
    assert cut.read_bytes() == before


def test_a_file_system_that_nobody_can_read_is_named(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    swap, luks = tmp_path / "swap.raw", tmp_path / "luks.raw"
    swap.write_bytes(bytes(4 * MIB))
    program("mkswap", swap)
    luks.write_bytes(b"LUKS\xba\xbe" + struct.pack(">H", 1) + b"aes".ljust(32, b"\0") + bytes(4 * MIB - 40))
    for image, kind in ((swap, "swap"), (luks, "crypto_LUKS")):
        assert names(files.list(raw(image))) == ["1"]
        with pytest.raises(Unsupported, match=kind):
            files.list(raw(image), "1")
        with pytest.raises(Unsupported, match=kind):
            files.fetch(raw(image), "1", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    files.list(raw(ext4), "1")


@pytest.mark.parametrize("path", ["", "x", "1/../2", "/etc", "-1/x", "1/./x", "1/\0", "..", "0x1"])
def test_wrong_paths_are_refused(tmp_path: Path, files: JailedFiles, ext4: Path, path: str) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        files.fetch(raw(ext4), path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    files.fetch(raw(ext4), "/1/home/student/work.odt", tmp_path / "out")


def test_what_is_not_there_and_what_is_in_the_way(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    for path in ("1/home/nobody", "1/home/student/work.odt/x", "2/home"):
        with pytest.raises(NotFound):
            files.list(raw(ext4), path)
        with pytest.raises(NotFound):
            files.fetch(raw(ext4), path, tmp_path / "out")
    with pytest.raises(NotFound):
        files.list(raw(ext4), "1/home/student/work.odt")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for target in (full, full / "mine", tmp_path / "link"):
        with pytest.raises(InvalidInput):
            files.fetch(raw(ext4), "1/home", target)
    assert os.listdir(full) == ["mine"]
    assert not (tmp_path / "nowhere").exists()
    files.fetch(raw(ext4), "1/home", tmp_path / "out")


def test_a_person_may_end_it(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    def cancel(done: int, total: int) -> None:
        raise Cancelled("No more.")

    with pytest.raises(Cancelled):
        files.list(raw(ext4), "1", cancel)
    with pytest.raises(Cancelled):
        files.fetch(raw(ext4), "1", tmp_path / "out", cancel)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ext4.raw", "tree"]
    files.fetch(raw(ext4), "1", tmp_path / "out")


def test_a_file_that_is_larger_than_the_disk_is_not_begun(tmp_path: Path, files: JailedFiles) -> None:
    tree, image = tmp_path / "holes", tmp_path / "holes.raw"
    tree.mkdir()
    with (tree / "bomb").open("wb") as file:
        file.truncate(1 << 43)
    (tree / "fine").write_bytes(b"fine")
    make_ext4(image, tree)
    with pytest.raises(Exhausted):
        files.fetch(raw(image), "1/bomb", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert files.fetch(raw(image), "1/fine", tmp_path / "out") == 4


def test_damage_and_garbage_end_with_a_sentence(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    content = bytearray(ext4.read_bytes())
    files.list(raw(ext4), "1")
    for seed in range(6):
        broken = bytearray(content)
        for at in range(1024 * (1 + seed * 7), len(broken), 4096 * (1 + seed)):
            broken[at : at + 64] = os.urandom(64)
        broken[1024:2048] = content[1024:2048]
        image = tmp_path / f"broken-{seed}.raw"
        image.write_bytes(broken)
        with contextlib.suppress(DiskError, Unsupported, NotFound, Exhausted):
            files.list(raw(image), "1")
        with contextlib.suppress(DiskError, Unsupported, NotFound, Exhausted):
            files.fetch(raw(image), "1", tmp_path / f"out-{seed}")
    assert not list(tmp_path.glob("*.part"))


def test_a_disk_that_a_guest_runs_on_is_not_looked_into(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    program("qemu-img", "convert", "-O", "qcow2", ext4, disk)
    layers = (DiskLayer(path=disk, format="qcow2"),)
    with subprocess.Popen(["qemu-io", "-f", "qcow2", str(disk)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"read 0 512\n")
        process.stdin.flush()
        while b"read 512/512" not in process.stdout.readline():
            assert process.poll() is None
        with pytest.raises(InUse, match="a guest"):
            files.list(layers, "1")
        process.communicate(b"quit\n", timeout=30)
    files.list(layers, "1")


def test_a_header_that_names_a_file_of_the_host_opens_nothing(tmp_path: Path, files: JailedFiles, ext4: Path) -> None:
    """The chain is told; a name in the header is not followed, and would lead nowhere in the jail."""
    canary, disk = tmp_path / "canary.raw", tmp_path / "disk.qcow2"
    shutil.copy(ext4, canary)
    program("qemu-img", "create", "-q", "-f", "qcow2", "-b", canary, "-F", "raw", disk)
    with pytest.raises(Unsupported):
        files.list((DiskLayer(path=disk, format="qcow2"),), "1")
    both = (DiskLayer(path=disk, format="qcow2"), DiskLayer(path=canary, format="raw"))
    assert "1/home" in names(files.list(both, "1"))


def test_what_is_lacking_is_named(tmp_path: Path, files: JailedFiles, ext4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(offline_jail, "_FUSE", tmp_path / "nothing")
        with pytest.raises(HostNotReady, match="/dev/fuse"):
            files.list(raw(ext4))
    with monkeypatch.context() as patch:
        patch.setitem(offline._READERS, "ext4", "Ext")
        patch.setattr(offline, "DISK", "/scratch/disk")
        real = offline.read_inside

        def without_seven(layers: object, part: object, argv: tuple[str, ...], **more: object) -> object:
            argv = tuple("no-such-program" if word == "7zz" else word for word in argv)
            return real(layers, part, argv, **more)  # type: ignore[arg-type]

        patch.setattr(offline, "read_inside", without_seven)
        with pytest.raises(HostNotReady) as caught:
            files.list(raw(ext4), "1")
        assert "7zip" in caught.value.hint
    with monkeypatch.context() as patch:
        patch.setattr(offline, "_LISTING", offline_jail.Limits(seconds=0))
        with pytest.raises((DriverTimeout, DiskError)):
            files.list(raw(ext4), "1")
    files.list(raw(ext4), "1")


def test_a_listing_is_read_defensively() -> None:
    listing = b"""Path = a
Folder = +

Path = a/ok
Folder = -
Size = 3
Mode = -rw-r--r--

Path = ../escape
Folder = -

Path = /etc/passwd
Folder = -

Path = a//b
Folder = -

Path = [SYS]/Journal
Folder = -

Path = a/device
Mode = brw-r--r--
Size =

Path = a/huge
Size = 99999999999999999999999999999999
Mode = -rw
"""
    found = list(entries(listing))
    assert [each.path for each in found] == [b"a", b"a/ok", b"a/device", b"a/huge"]
    assert [each.ordinary for each in found] == [True, True, False, True]
    assert list(entries(b"")) == []
    assert list(entries(b"\xff\x00 = \n\n = \n")) == []
