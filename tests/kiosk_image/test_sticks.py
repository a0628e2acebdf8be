# SPDX-License-Identifier: MIT
"""What becomes of USB sticks at a terminal: the image's own script over a tree of folders, with mount and udev played."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "kiosk" / "image" / "root" / "usr" / "lib" / "labvirt" / "sticks"
SAFE = "nosuid,nodev,noexec,uid=1000,gid=1000,umask=077"
PLAYED = {
    "udevadm": 'cat "$ROOT/udev/${3#--name=/dev/}" 2> /dev/null',
    "mount": 'echo "mount $*" >> "$ROOT/log"; case "$*" in *"-o ro,"*) ;; *) [ ! -e "$ROOT/broken" ] ;; esac',
    "umount": 'echo "umount $*" >> "$ROOT/log"; case "$1" in -l) ;; *) [ ! -e "$ROOT/busy" ] ;; esac',
    "chown": 'echo "chown $1 ${2#$ROOT}" >> "$ROOT/log"',
    "chgrp": ":",
}


class Terminal:
    """The script runs from its making until close()."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("run/labvirt", "media", "sys/class/block", "udev", "bin", "dev/bus/usb/002", "usb/2-1"):
            (root / folder).mkdir(parents=True)
        for name, text in PLAYED.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        (root / "usb/2-1/busnum").write_text("2\n")
        (root / "usb/2-1/devnum").write_text("5\n")
        (root / "usb/2-1/host").mkdir()
        (root / "dev/bus/usb/002/005").touch()
        environment = {"PATH": f"{root}/bin:/usr/bin:/bin", "ROOT": str(root)}
        self._process = subprocess.Popen(["/bin/sh", str(SCRIPT), str(root)], env=environment)
        self.until(lambda: (root / "run/labvirt/sticks").is_fifo())

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert self._process.poll() is None
            assert time.monotonic() < deadline, (self.log(), self.folders())
            time.sleep(0.02)

    def plug(self, name: str, number: int, **properties: str) -> None:
        """A disk (`sdb`) or a partition (`sdb1`) is there, as udev knows it."""
        place = self.root / "sys/class/block" / name
        place.mkdir()
        if name[-1].isdigit():
            (place / "partition").touch()
        else:
            (place / "diskseq").write_text(f"{number}\n")
            (place / "device").symlink_to(self.root / "usb/2-1/host")
        (self.root / "udev" / name).write_text("".join(f"{key}={value}\n" for key, value in properties.items()))

    def pull(self, *names: str) -> None:
        for name in names:
            (self.root / "udev" / name).unlink()
            subprocess.run(["rm", "-r", str(self.root / "sys/class/block" / name)], check=True)

    def say(self, *words: str) -> None:
        """All of them were heard and done."""
        with (self.root / "run/labvirt/sticks").open("w") as pipe:
            pipe.writelines(f"{word}\n" for word in words)
        self.until(self._is_idle)

    def _is_idle(self) -> bool:
        """The pipe is empty, and the shell waits in a read of it (proc(5): /proc/PID/syscall begins with number and first argument)."""
        pipe = self.root / "run/labvirt/sticks"
        with pipe.open("rb+", buffering=0) as end:
            if fcntl.ioctl(end, termios.FIONREAD, bytes(4)) != bytes(4):
                return False
        process = Path(f"/proc/{self._process.pid}")
        call = (process / "syscall").read_text().split()
        if len(call) < 3:
            return False  # it runs, or has ended
        try:
            return (process / "fd" / str(int(call[1], 16))).readlink() == pipe.resolve()
        except FileNotFoundError:
            return False  # another call, or one that is over

    def log(self) -> list[str]:
        file = self.root / "log"
        return file.read_text().replace(str(self.root), "").splitlines() if file.exists() else []

    def folders(self) -> list[str]:
        return sorted(path.name for path in (self.root / "media").iterdir())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


FAT = {"ID_BUS": "usb", "ID_FS_TYPE": "vfat", "ID_FS_LABEL": "MY_WORK"}


def test_a_stick_is_a_folder_only_where_that_was_said(terminal: Terminal) -> None:
    terminal.plug("sdb", 7, **FAT)
    terminal.say("look")
    terminal.say("devices", "off", "nonsense", "folders; reboot")
    assert not [line for line in terminal.log() if line.startswith("mount")]
    terminal.say("folders")
    assert terminal.log()[-1] == f"mount -t vfat -o {SAFE},utf8,flush /dev/sdb /media/MY_WORK"
    assert terminal.folders() == ["MY_WORK"]
    terminal.say("look", "folders")
    assert len([line for line in terminal.log() if line.startswith("mount")]) == 1  # once is enough
    terminal.say("off")
    assert terminal.log()[-1] == "umount /media/MY_WORK"
    assert terminal.folders() == []


def test_a_stick_that_is_pulled_out_goes_even_if_a_viewer_looks_into_it(terminal: Terminal) -> None:
    terminal.say("folders")
    terminal.plug("sdb", 7, ID_BUS="usb")
    terminal.plug("sdb1", 7, **FAT)
    terminal.say("look")
    (terminal.root / "busy").touch()
    terminal.pull("sdb1", "sdb")
    terminal.say("look")
    assert terminal.log()[-2:] == ["umount /media/MY_WORK", "umount -l /media/MY_WORK"]
    assert terminal.folders() == []


def test_the_next_stick_of_the_same_name_is_another(terminal: Terminal) -> None:
    terminal.say("folders")
    terminal.plug("sdb", 7, **FAT)
    terminal.say("look")
    terminal.pull("sdb")
    terminal.plug("sdb", 8, **{**FAT, "ID_FS_LABEL": "OTHER"})
    terminal.say("look")  # both events came while it was looking at something else
    assert [line.split()[0] for line in terminal.log()] == ["mount", "umount", "mount"]
    assert terminal.folders() == ["OTHER"]


def test_only_sticks_and_never_the_one_that_this_terminal_starts_from(terminal: Terminal) -> None:
    terminal.plug("sda", 1, ID_BUS="ata", ID_FS_TYPE="ntfs")
    terminal.plug("sdb", 2, ID_BUS="usb")
    terminal.plug("sdb1", 2, ID_BUS="usb", ID_FS_TYPE="vfat", ID_FS_LABEL="EFI")
    terminal.plug("sdb2", 2, ID_BUS="usb", ID_FS_TYPE="ext4", ID_FS_LABEL="LABVIRT")
    terminal.say("folders", "devices", "folders")
    assert terminal.log() == []
    terminal.plug("sdc", 3, ID_BUS="usb")
    terminal.plug("sdc1", 3, ID_BUS="usb", ID_FS_TYPE="swap")
    terminal.plug("sdc2", 3, ID_BUS="usb", ID_FS_TYPE="ntfs", ID_FS_LABEL="../../etc;x")
    terminal.plug("sdc3", 3, ID_BUS="usb", ID_FS_TYPE="exfat", ID_FS_LABEL="../..")
    terminal.say("look")
    assert terminal.log() == [
        f"mount -t ntfs3 -o {SAFE},sync /dev/sdc2 /media/etcx",
        f"mount -t exfat -o {SAFE},sync /dev/sdc3 /media/USB",
    ]


def test_two_of_one_name_and_one_with_a_fault(terminal: Terminal) -> None:
    terminal.say("folders")
    terminal.plug("sdb", 7, **FAT)
    terminal.plug("sdc", 8, **FAT)
    terminal.say("look")
    assert terminal.folders() == ["MY_WORK", "MY_WORK-2"]
    (terminal.root / "broken").touch()
    terminal.plug("sdd", 9, **{**FAT, "ID_FS_LABEL": ""})
    terminal.say("look")
    assert terminal.log()[-1] == f"mount -t vfat -o ro,{SAFE},utf8,flush /dev/sdd /media/USB"


def test_a_whole_stick_is_the_viewers_while_that_was_said(terminal: Terminal) -> None:
    terminal.plug("sdb", 7, **FAT)
    node = terminal.root / "dev/bus/usb/002/005"
    terminal.say("devices")
    assert terminal.log() == ["chown kiosk /dev/bus/usb/002/005"]
    assert node.stat().st_mode & 0o777 == 0o600
    terminal.pull("sdb")  # the viewer has taken it from the kernel
    terminal.say("off")
    assert terminal.log()[-1] == "chown root /dev/bus/usb/002/005"
    assert not [line for line in terminal.log() if line.startswith("mount")]


@pytest.mark.skipif(os.geteuid() != 0, reason="plays the viewer, who is not root: needs root")
def test_the_viewer_waits_until_a_stick_is_its_own() -> None:
    helper = SCRIPT.parents[2] / "libexec" / "spice-client-glib-usb-acl-helper"
    nobody = 65534
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        node = Path(folder, "002", "005")
        node.parent.mkdir()
        copy = Path(folder, "helper")
        copy.write_bytes(helper.read_bytes())  # the checkout may be closed to others
        with subprocess.Popen(
            ["setpriv", "--reuid", str(nobody), "--clear-groups", "/bin/sh", copy],
            env={"PATH": "/usr/bin:/bin", "LABVIRT_NODES": folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as asked:
            assert asked.stdin
            assert asked.stdout
            node.touch(mode=0o600)
            asked.stdin.write("2 5\n")
            asked.stdin.flush()
            time.sleep(0.5)
            assert not select.select([asked.stdout], [], [], 0)[0], "root's stick was said to be the viewer's"
            os.chown(node, nobody, -1)
            assert asked.stdout.readline() == "SUCCESS\n"
            asked.stdin.close()
        node.unlink()
        gone = subprocess.run(["/bin/sh", copy], env={"LABVIRT_NODES": folder}, input="2 5\n", capture_output=True, text=True, timeout=30)
        assert gone.stdout == "CANCELED\n"
