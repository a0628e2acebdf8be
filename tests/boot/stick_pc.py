# SPDX-License-Identifier: MIT
"""A PC that starts from a stick, or from a kernel that somebody else has loaded, behind a switch that can fall silent."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.boot.computer import MAC, Computer
from tests.boot.controller import Controller
from tests.boot.pc import FIRMWARE, OVMF

SERIAL = "console=tty0 console=ttyS0,115200 no_timer_check"
"""Of the kernel's own words. On a busy machine an emulated timer is late, and the kernel would take it for a broken one and stop."""
PATIENCE = 400.0
IMAGE = "kiosk.squashfs"
RIGHT = "The kiosk on this computer's disk is the right one"
KEPT = "The kiosk is kept on this computer's disk"
NOT_KEPT = "The kiosk could not be kept on this computer's disk"
SCREEN = "Starting the screen"
"""The last words before X; that the kiosk program then asks is proved once for each firmware: it takes longest."""
AWAY = "does not answer: is it on"
Figures = dict[str, Any]


def stick_words(image: Path, *, boots: bool = True, read_only: bool = False) -> list[str]:
    """QEMU's words for a disk at USB."""
    drive = f"if=none,id=stick,format=raw,file={image}{',readonly=on' if read_only else ''}"
    return ["-drive", drive, "-device", "qemu-xhci", "-device", f"usb-storage,drive=stick{',bootindex=0' if boots else ''}"]


def kernel_words(folder: Path, words: str) -> list[str]:
    """QEMU's words for a boot loader that has done its work."""
    return ["-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd.img"), "-append", f"{words} {SERIAL}"]


class StickPc(Computer):
    """Is switched on by its making, and gone after close(). 10.0.2.2 is 127.0.0.1 of whoever made it; no network boot."""

    def __init__(self, folder: Path, words: Sequence[str], *, firmware: str = "bios", plugged: bool = True, memory_mib: int = 1536) -> None:
        chosen = FIRMWARE[firmware]
        folder.mkdir()
        self._serial = folder / "serial.log"
        self._socket = folder / "qmp"
        flash: list[str] = []
        if chosen.code:
            (folder / "variables.fd").write_bytes((OVMF / chosen.variables).read_bytes())
            flash += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF / chosen.code}"]
            flash += ["-drive", f"if=pflash,format=raw,unit=1,file={folder / 'variables.fd'}"]
        # A switch between the PC and the network: it can fall silent while the PC's own link stays up (QEMU: set_link).
        switch = ["-netdev", "user,id=world", "-netdev", "hubport,id=far,hubid=0,netdev=world", "-netdev", "hubport,id=near,hubid=0"]
        self._log = (folder / "qemu.log").open("wb")
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", chosen.machine, "-cpu", "max", "-smp", "2"),
                *("-m", str(memory_mib), "-nodefaults", "-vga", "std", "-display", "none", *flash, *chosen.words, *words, *switch),
                *("-device", f"e1000e,id=card,netdev=near,mac={MAC},romfile=", "-device", "virtio-rng-pci"),
                *("-serial", f"file:{self._serial}", "-qmp", f"unix:{self._socket},server=on,wait=off", "-S"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._monitor = None
        self.wait("QEMU's monitor", self._socket.exists, 30)
        if not plugged:
            self.plug(False)
        self.ask("cont")

    def plug(self, plugged: bool) -> None:
        """The cable is in, or out."""
        self.ask("set_link", name="card", up=plugged)

    def hear(self, hears: bool) -> None:
        """What is behind the switch answers, or nothing does; the cable stays in."""
        self.ask("set_link", name="world", up=hears)


@contextmanager
def started(what: str, work: Path, words: list[str], figures: Figures, **more: Any) -> Iterator[StickPc]:
    """A PC that is on; the seconds until its block ends are told."""
    began = time.monotonic()
    computer = StickPc(work / re.sub(r"\W+", "-", what), words, **more)
    try:
        yield computer
    finally:
        computer.close()
    figures[what] = round(time.monotonic() - began, 1)
    print(f"  {figures[what]:6.1f} s  {what}", flush=True)


def says(computer: StickPc, words: str) -> None:
    computer.wait(f"the sentence {words!r}", lambda: words in computer.serial(), PATIENCE)


def asks_again(computer: StickPc, controller: Controller) -> None:
    """The kiosk program of this PC has asked the controller, after now."""
    before = len(controller.asked)
    computer.wait("the kiosk program's question", lambda: len(controller.asked) > before, PATIENCE)
