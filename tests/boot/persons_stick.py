# SPDX-License-Identifier: MIT
"""A person's USB stick: a FAT file system with one file, plugged into the PC while it runs (QMP), and read when it is out again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.boot.computer import Computer

LABEL = "MY WORK"
TEXT = "This is mine."
SIZE_BYTES = 32 << 20


def make(folder: Path, name: str) -> Path:
    """The stick, with hello.txt on it. Without partitions, as many are sold."""
    image, hello = folder / name, folder / "hello.txt"
    with image.open("wb") as stream:
        stream.truncate(SIZE_BYTES)
    hello.write_text(TEXT + "\n")
    sectors = str(SIZE_BYTES // 512)
    subprocess.run(["mformat", "-i", image, "-v", LABEL, "-T", sectors, "-h", "64", "-s", "32", "::"], check=True)
    subprocess.run(["mcopy", "-i", image, hello, "::hello.txt"], check=True)
    return image


def plug(pc: Computer, image: Path) -> None:
    pc.ask("blockdev-add", **{"driver": "raw", "node-name": "stick", "file": {"driver": "file", "filename": str(image)}})
    pc.ask("device_add", driver="usb-storage", id="stick", drive="stick", bus="usb.0")


def pull(pc: Computer) -> None:
    """Without a word to anybody, as people do."""
    pc.ask("device_del", id="stick")
    pc.wait("the stick is out", lambda: not is_in(pc), 60)
    pc.wait("its file is free", lambda: _let_go(pc), 60)


def _let_go(pc: Computer) -> bool:
    """QEMU holds it for a moment after the device is gone."""
    try:
        pc.ask("blockdev-del", **{"node-name": "stick"})
    except AssertionError as error:
        if "in use" in str(error):
            return False
        raise
    return True


def is_in(pc: Computer) -> bool:
    return any(each["name"] == "stick" for each in pc.ask("qom-list", path="/machine/peripheral"))


def read(image: Path, name: str) -> str:
    """A text file on the stick; empty when it is not there (yet)."""
    done = subprocess.run(["mtype", "-i", image, f"::{name}"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def is_sound(image: Path) -> bool:
    """Its own file is as it was."""
    return read(image, "hello.txt") == TEXT
