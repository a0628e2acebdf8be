# SPDX-License-Identifier: MIT
"""What machine this terminal is: read from /proc and /sys, told to the controller at the start and when it changes. Never in the way."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from labvirt_kiosk.sentence import clean
from labvirt_kiosk.trouble import Trouble

LOOK_SECONDS = 60.0
"""A cable or a screen is plugged in and out."""
MOST_SCREENS = 4
_READ_BYTES = 256 * 1024


def facts(interface: str | None, root: Path = Path("/")) -> dict[str, str]:
    """Fields of `POST /terminals/hardware`; without those that cannot be told here."""
    found = {
        "memory_mib": _memory_mib(_text(root / "proc/meminfo")),
        **_processors(_text(root / "proc/cpuinfo")),
        "vendor": _text(root / "sys/class/dmi/id/sys_vendor"),
        "product": _text(root / "sys/class/dmi/id/product_name"),
        "bios": _text(root / "sys/class/dmi/id/bios_version"),
        "interface": interface or "",
        "link_mbps": _link_mbps(_text(root / "sys/class/net" / interface / "speed")) if interface else "",
    }
    told = {key: clean(value, 80) for key, value in found.items()}
    told = {key: value for key, value in told.items() if value}
    screens = _screens(root / "sys/class/drm")
    return told if screens is None else {**told, "screens": ",".join(screens)}


class HardwareReport:
    """Tells `send` what `look` finds, in a thread of its own; what was not taken is told again."""

    def __init__(
        self, look: Callable[[], Mapping[str, str]], send: Callable[[Mapping[str, str]], None], every_seconds: float = LOOK_SECONDS
    ) -> None:
        self._look = look
        self._send = send
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hardware", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nothing more is told."""
        self._stopping.set()

    def _run(self) -> None:
        told: Mapping[str, str] | None = None
        while not self._stopping.is_set():
            now = self._look()
            if now != told:
                try:
                    self._send(now)
                    told = now
                except Trouble:
                    told = None  # a terminal that nobody knows yet, or a controller that is away
            self._stopping.wait(self._every_seconds)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES).decode("utf-8", "replace").strip()
    except OSError:  # not there, or not for us, or a cable that is out (EINVAL)
        return ""


def _memory_mib(meminfo: str) -> str:
    found = re.search(r"^MemTotal:\s+(\d{1,12}) kB", meminfo, re.MULTILINE)
    return str(int(found[1]) // 1024) if found else ""


def _processors(cpuinfo: str) -> dict[str, str]:
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    count = len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE))
    return {"cpu": model[1] if model else "", "cpus": str(count) if count else ""}


def _link_mbps(speed: str) -> str:
    """The kernel says -1 while there is no link."""
    return speed if speed.isascii() and speed.isdigit() and 0 < int(speed[:8]) <= 1_000_000 else ""


def _screens(folder: Path) -> list[str] | None:
    """The first mode of each connector with a screen (the kernel lists the best one first); None without a graphics driver."""
    try:
        connectors = sorted(each for each in folder.iterdir() if re.fullmatch(r"card\d+-[\w-]+", each.name))
    except OSError:
        return None
    if not connectors:
        return None
    there = [each for each in connectors if _text(each / "status") == "connected"]
    return [clean(_text(each / "modes").partition("\n")[0], 40) or "of unknown size" for each in there[:MOST_SCREENS]]
