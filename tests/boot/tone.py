# SPDX-License-Identifier: MIT
"""A machine on SPICE that is yellow and hums, and what of a tone is found in a recording.

The machine is a boot sector and nothing else: the tone is its PC speaker's, so no driver of a guest's system can be at fault.
"""

from __future__ import annotations

import array
import json
import math
import socket
import subprocess
from pathlib import Path
from typing import Any

HERTZ = 660.0
SECRET = "hum-and-be-seen"
_DIVISOR = round(1193182 / HERTZ)  # of the timer's clock (Intel 8254)
_CODE = bytes.fromhex(
    "fc b81300 cd10"  # graphics, 320 x 200
    "b800a0 8ec0 31ff b02c b900fa f3aa"  # all yellow
    "b0b6 e643 b8" + _DIVISOR.to_bytes(2, "little").hex() + "e642 88e0 e642"  # the timer's channel 2: a square wave
    "e461 0c03 e661"  # which the speaker hears
    "f4 ebfd"  # for ever
)

RATE, CHANNELS, HEADER_BYTES = 44100, 2, 44
"""Of QEMU's WAV files (audio/wavaudio.c: s16)."""
_FRAME = 2 * CHANNELS
_SILENT = 900
"""A power of 30 squared: a thousandth of what is possible."""
_EVERY = 4
_WINDOW = 276
"""Samples in 25 ms, of every fourth one: a starved emulator plays no longer piece without a gap."""


class Hum:
    """The machine is on from its making until close(). Its SPICE port is on the loopback interface; two USB devices may be handed over."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        self._socket = folder / "qmp"
        disk = folder / "disk.raw"
        disk.write_bytes(_CODE.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        self._log = (folder / "qemu.log").open("wb")
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg", "-machine", "pc,pcspk-audiodev=hum", "-m", "32", "-nodefaults", "-vga", "std"),
                *("-display", "none", "-drive", f"if=ide,format=raw,file={disk}", "-audiodev", "spice,id=hum"),
                *("-object", f"secret,id=secret,data={SECRET}", "-spice", f"addr=127.0.0.1,port={port},password-secret=secret"),
                *("-device", "qemu-xhci,id=usb", "-chardev", "spicevmc,id=one,name=usbredir", "-device", "usb-redir,id=stick,chardev=one"),
                *("-qmp", f"unix:{self._socket},server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def ask(self, command: str, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(60)
            stream.connect(str(self._socket))
            lines = stream.makefile("rb")
            lines.readline()
            told: dict[str, Any] = {}
            for execute, words in (("qmp_capabilities", {}), (command, arguments)):
                stream.sendall(json.dumps({"execute": execute, "arguments": words}).encode() + b"\n")
                while "return" not in (told := json.loads(lines.readline())):
                    assert "error" not in told, told
            return told["return"]

    def is_seen(self) -> bool:
        """A viewer is connected."""
        return bool(self.ask("query-spice").get("channels"))

    def has_stick(self) -> bool:
        """A USB device was handed over by the viewer."""
        return bool(self.ask("qom-get", path="/machine/peripheral/stick", property="attached"))

    def hang_up(self) -> None:
        """The viewer's connection is ended."""
        self.ask("set_password", protocol="spice", password=SECRET, connected="disconnect")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


class Ear:
    """Listens to a recording (WAV, still being written) from here on. `any` and `tone`: how loud each 25 ms was that were not silent, and
    of those the ones in which most of the power is of `hertz`; root mean square, 1 is full."""

    def __init__(self, recording: Path, hertz: float) -> None:
        self._recording, self._hertz = recording, hertz
        size = recording.stat().st_size if recording.exists() else 0
        self._place = max(size, HEADER_BYTES)
        self._place += -(self._place - HEADER_BYTES) % _FRAME
        self.any: list[float] = []
        self.tone: list[float] = []

    def listen(self) -> None:
        """What was recorded meanwhile counts too, in whole pieces."""
        if not self._recording.exists():
            return
        with self._recording.open("rb") as stream:
            stream.seek(self._place)
            data = stream.read()
        piece = _WINDOW * _EVERY * _FRAME
        for start in range(0, len(data) - piece + 1, piece):
            self._hear(array.array("h", data[start : start + piece])[:: CHANNELS * _EVERY])
            self._place += piece

    def _hear(self, window: array.array[int]) -> None:
        middle = sum(window) / _WINDOW
        power = sum((value - middle) ** 2 for value in window) / _WINDOW
        if power <= _SILENT:
            return
        loud = math.sqrt(power) / 32768
        self.any.append(loud)
        if _share(window, middle, power, self._hertz) > 0.5:
            self.tone.append(loud)


def _share(window: array.array[int], middle: float, power: float, hertz: float) -> float:
    """How much of the power is of this frequency (Goertzel's filter): 1 for a sine, 0.8 for a square wave."""
    turn = 2 * math.cos(2 * math.pi * hertz * _EVERY / RATE)
    one = two = 0.0
    for value in window:
        one, two = value - middle + turn * one - two, one
    return 2 * (one * one + two * two - turn * one * two) / (_WINDOW * _WINDOW * power)
