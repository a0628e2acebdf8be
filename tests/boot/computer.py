# SPDX-License-Identifier: MIT
"""The PC on the desk, played by QEMU: an empty disk, little memory, and a network card that boots."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MAC = "52:54:00:4b:49:01"


class Computer:
    """Is switched on by its making, and gone after close(). Its network is QEMU's own: 10.0.2.2 is 127.0.0.1 of whoever made it."""

    def __init__(
        self, folder: Path, tftp: Path, *, memory_mib: int, display: Sequence[str] = ("-vga", "std"), sound: Path | None = None
    ) -> None:
        """`display`: QEMU's words for its graphics card. `sound`: what its loudspeakers play (WAV; the header is right only at the end)."""
        self._serial = folder / "serial.log"
        self._socket = folder / "qmp"
        disk = folder / "disk.raw"
        with disk.open("wb") as stream:
            stream.truncate(64 << 20)
        self._log = (folder / "qemu.log").open("wb")
        speakers = f"wav,id=speakers,path={sound}" if sound else "none,id=speakers"
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2"),
                *("-m", str(memory_mib), "-nodefaults", *display, "-display", "none", "-boot", "n"),
                *("-drive", f"if=none,id=disk,format=raw,file={disk}", "-device", "ide-hd,drive=disk"),
                *("-netdev", f"user,id=net,tftp={tftp},bootfile=core.0", "-device", f"e1000e,netdev=net,mac={MAC}"),
                # Without a mixer of its own, whose volume QEMU's recording does not have: the system's volume is what is heard.
                *("-device", "intel-hda", "-device", "hda-output,audiodev=speakers,mixer=off", "-audiodev", speakers),
                *("-device", "qemu-xhci,id=usb"),
                *("-serial", f"file:{self._serial}", "-qmp", f"unix:{self._socket},server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._monitor: socket.socket | None = None

    def serial(self) -> str:
        return self._serial.read_text(errors="replace") if self._serial.exists() else ""

    def wait(self, what: str, found: Callable[[], bool], seconds: float) -> None:
        """`found` became true in time. Raises AssertionError with the last lines of the serial line."""
        deadline = time.monotonic() + seconds
        while not found():
            assert self._process.poll() is None, f"QEMU has ended: {Path(self._log.name).read_text()}"
            assert time.monotonic() < deadline, (
                f"{what} did not happen within {seconds:.0f} s; the PC's last words: {self.serial()[-1500:]!r}"
            )
            time.sleep(0.2)

    def ask(self, command: str, **arguments: Any) -> Any:
        if self._monitor is None:
            self._monitor = socket.socket(socket.AF_UNIX)
            self._monitor.settimeout(60)
            self._monitor.connect(str(self._socket))
            self._lines = self._monitor.makefile("rb")
            self._lines.readline()
            self.ask("qmp_capabilities")
        self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            told = json.loads(self._lines.readline())
            assert "error" not in told, told
            if "return" in told:
                return told["return"]

    def picture(self, file: Path, **screen: Any) -> None:
        """What the PC's screen shows now, as PNG. Of several, `device` and `head` say which."""
        self.ask("screendump", filename=str(file), format="png", **screen)

    def press(self, *keys: str) -> None:
        """Together, like Alt and F4."""
        self.ask("send-key", keys=[{"type": "qcode", "data": key} for key in keys])

    def is_off(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        if self._monitor is not None:
            self._lines.close()
            self._monitor.close()
        self._process.kill()
        self._process.wait()
        self._log.close()
