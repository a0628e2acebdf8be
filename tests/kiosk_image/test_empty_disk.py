# SPDX-License-Identifier: MIT
"""The script of the initial file system over images of disks: only an empty one is taken, and only where the setting says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "kiosk" / "image" / "initrd" / "lib"
BUSYBOX = shutil.which("busybox")
MIB = 1 << 20
SIZE = 136 * MIB
"""Beyond the copy that ext4 makes of its superblock. Sparse: only what is written takes room."""

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="busybox is not installed")

STAGE = """
say() { echo "$1"; }
say_over() { :; }
sync() { :; }
wget() { echo asked >> ROOT/asked; cat ROOT/answer; }
read_words "labvirt.url=http://10.0.0.1/ labvirt.image=http://10.0.0.1/boot/kiosk.squashfs"
mke2fs() { busybox mke2fs -F "$@"; } # our disks are files
interface=eth0
kept_kib=65536
"""
ON = "version=1\nstatus=starting\nmessage=Your computer is being started.\nsetting_sound=on\nsetting_keep_on_disk=on\n"


class Machine:
    """A PC: `/sys` and `/dev` are folders of ours, the rest is the script and busybox."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("dev", "run/labvirt", "sys/block", "sys/class/net/eth0", "sys/devices/pci0/usb1/host", "sys/devices/pci0/ata1/host"):
            (root / name).mkdir(parents=True)
        (root / "sys/class/net/eth0/address").write_text("52:54:00:00:00:01\n")
        (root / "answer").write_text(ON)
        text = (LIBRARY / "boot.sh").read_text() + (LIBRARY / "disk.sh").read_text().replace("/sys/", f"{root}/sys/")
        self.script = text.replace('"/dev/$', f'"{root}/dev/$').replace("/run/labvirt", f"{root}/run/labvirt") + STAGE.replace(
            "ROOT", str(root)
        )

    def plug(self, name: str, *, size: int = SIZE, removable: int = 0, ro: int = 0, bus: str = "ata1", parts: int = 0) -> Path:
        """A disk, and what the kernel says of it. Its file is all zeros."""
        block = self.root / f"sys/devices/pci0/{bus}/host/{name}"
        for folder in ("device", "holders", *(f"{name}{number}" for number in range(1, parts + 1))):
            (block / folder).mkdir(parents=True)
        for key, value in (("removable", removable), ("ro", ro), ("size", size // 512)):
            (block / key).write_text(f"{value}\n")
        (self.root / "sys/block" / name).symlink_to(block)
        file = self.root / "dev" / name
        with file.open("xb") as stream:
            stream.truncate(size)
        return file

    def shell(self, body: str) -> subprocess.CompletedProcess[str]:
        assert BUSYBOX is not None
        return subprocess.run([BUSYBOX, "sh", "-u", "-c", f"{self.script}\n{body}"], capture_output=True, text=True, timeout=300)

    def start(self, body: str = "take_empty_disk || echo nothing") -> str:
        done = self.shell(body)
        assert done.stderr == ""
        return done.stdout

    def judges_empty(self, file: Path) -> bool:
        return self.shell(f"is_empty {file} {file.stat().st_size // 512}").returncode == 0

    @property
    def asked(self) -> bool:
        return (self.root / "asked").exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def written(file: Path) -> list[tuple[int, bytes]]:
    """Every place and content of a sparse file where there is anything but zeros."""
    found, place = [], 0
    with file.open("rb") as stream:
        while place < file.stat().st_size:
            try:
                place = os.lseek(stream.fileno(), place, os.SEEK_DATA)
            except OSError:  # no data beyond (lseek(2): ENXIO)
                break
            end = os.lseek(stream.fileno(), place, os.SEEK_HOLE)
            stream.seek(place)
            data = stream.read(end - place)
            if any(data):
                found.append((place, data))
            place = end
    return found


def put(offset: int, data: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        with file.open("r+b") as stream:
            stream.seek(offset if offset >= 0 else SIZE + offset)
            stream.write(data)

    return write


def made_by(*argv: str, data: str = "") -> Callable[[Path], None]:
    def make(file: Path) -> None:
        program = shutil.which(argv[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
        if program is None:
            pytest.skip(f"{argv[0]} is not installed")
        subprocess.run([program, *argv[1:], str(file)], input=data, text=True, check=True, capture_output=True, timeout=120)

    return make


def without(offset: int, size: int, make: Callable[[Path], None]) -> Callable[[Path], None]:
    """What is left when somebody has wiped a part of it."""

    def wiped(file: Path) -> None:
        make(file)
        put(offset, bytes(size))(file)
        put(-MIB, bytes(MIB))(file)

    return wiped


GPT = made_by("sfdisk", "-q", data="label: gpt\nstart=2048\n")
USED = {
    "gpt": GPT,
    "gpt, of which only the copy at the end is left": lambda file: (GPT(file), put(0, bytes(MIB))(file)),
    "mbr": made_by("sfdisk", "-q", data="label: dos\nstart=2048\n"),
    "mbr without a partition": made_by("sfdisk", "-q", data="label: dos\n"),
    "ext4": made_by("mke2fs", "-q", "-F", "-t", "ext4"),
    "ext4 whose first MiB is wiped": without(0, MIB, made_by("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096")),
    "ext4 of small blocks whose first MiB is wiped": without(0, MIB, made_by("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024")),
    "fat": made_by("busybox", "mkdosfs"),
    "swap": made_by("busybox", "mkswap"),
    "ntfs": put(0, b"\xebR\x90NTFS    "),
    "ntfs, of which only the copy at the end is left": put(-512, b"\xebR\x90NTFS    "),
    "luks": put(0, b"LUKS\xba\xbe\x00\x01"),
    "luks 2 whose first MiB is wiped": put(4 * MIB, b"SKUL\xba\xbe\x00\x02"),
    "lvm": put(512, b"LABELONE\x01\x00\x00\x00\x00\x00\x00\x00"),
    "raid, version 1.0": put(-8192, b"\xfc\x4e\x2b\xa9\x01\x00\x00\x00"),
    "raid, version 0.90": put(-65536, b"\xfc\x4e\x2b\xa9"),
    "zfs": put(-256 * 1024 + 16384, b"\x11\x7a\x0c\xb1\x7a\xda\x10\x02"),
    "btrfs": put(65536 + 64, b"_BHRfS_M"),
    "btrfs whose first MiB is wiped": put(64 * MIB + 64, b"_BHRfS_M"),
    "vmfs": put(MIB, b"\x0d\xd0\x01\xc0"),
    "iso": put(32769, b"CD001"),
    "xfs": put(0, b"XFSB"),
    "one byte in the middle of the first MiB": put(MIB // 2, b"\x01"),
    "the first byte": put(0, b"\x80"),
    "the last byte of the first MiB": put(MIB - 1, b"\x01"),
    "the first byte of the last MiB": put(-MIB, b"\x01"),
    "the last byte": put(-1, b"\x01"),
}


@pytest.mark.parametrize("kind", USED)
def test_a_disk_with_anything_on_it_is_left_as_it_is(machine: Machine, kind: str) -> None:
    file = machine.plug("sda")
    assert machine.judges_empty(file)  # control: before that it would have been taken
    USED[kind](file)
    assert file.stat().st_size == SIZE
    before = written(file)
    assert machine.start() == "nothing\n"
    assert written(file) == before
    assert not machine.asked


@pytest.mark.parametrize("name", ["sda", "vda", "nvme0n1"])
def test_an_empty_disk_gets_the_label_and_says_so(machine: Machine, name: str) -> None:
    file = machine.plug(name)
    assert "was empty: the kiosk is kept there from now on" in machine.start()
    with file.open("rb") as stream:
        stream.seek(1024)
        superblock = stream.read(1024)
    assert superblock[56:58] == b"\x53\xef"
    assert superblock[120:].startswith(b"LABVIRT\0")
    assert machine.asked
    taken = written(file)
    assert machine.start() == "nothing\n"  # it is not empty any more
    assert written(file) == taken


@pytest.mark.parametrize(
    "answer",
    [
        "",
        ON.replace("keep_on_disk=on", "keep_on_disk=off"),
        ON.replace("setting_keep_on_disk=on\n", ""),
        ON.replace("setting_keep_on_disk=on", "message=setting_keep_on_disk=on"),
        ON.replace("setting_keep_on_disk=on", "setting_keep_on_disk=only"),
        "<html>setting_keep_on_disk=on</html>",
    ],
)
def test_without_the_setting_it_stays_empty(machine: Machine, answer: str) -> None:
    file = machine.plug("sda")
    (machine.root / "answer").write_text(answer)
    assert machine.start() == "nothing\n"
    assert machine.asked
    assert written(file) == []
    (machine.root / "answer").write_text(ON)
    assert "was empty" in machine.start()


def test_only_built_in_disks_that_are_whole_and_big_enough_are_looked_at(machine: Machine) -> None:
    others = [
        machine.plug("sda", removable=1),
        machine.plug("sdb", bus="usb1"),
        machine.plug("sdc", ro=1),
        machine.plug("sdd", parts=1),
        machine.plug("sde", size=64 * MIB),
    ]
    held = machine.plug("sdf")
    (machine.root / "sys/block/sdf/holders/dm-0").mkdir()
    assert machine.start() == "nothing\n"
    assert not machine.asked
    machine.plug("sdg")
    assert "disk" in machine.start()
    assert machine.judges_empty(machine.root / "dev/sdg") is False
    for file in (*others, held):
        assert written(file) == [], file


def test_of_two_empty_disks_one_is_taken(machine: Machine) -> None:
    first, second = machine.plug("sda"), machine.plug("sdb")
    machine.start()
    assert not machine.judges_empty(first)
    assert machine.judges_empty(second)


def test_a_disk_that_cannot_be_read_is_not_empty(machine: Machine) -> None:
    file = machine.plug("sda")
    file.unlink()
    assert machine.start() == "nothing\n"
    with file.open("xb") as stream:
        stream.truncate(SIZE - 512)  # its last sector fails
    assert machine.start() == "nothing\n"
    assert not machine.asked


def test_a_start_from_a_stick_takes_no_disk(machine: Machine) -> None:
    file = machine.plug("sda")
    assert machine.start("disk=UUID=1; take_empty_disk || echo nothing") == "nothing\n"
    assert written(file) == []
