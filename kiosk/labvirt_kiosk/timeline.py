# SPDX-License-Identifier: MIT
"""The time line of this terminal's boot, told to the controller once. Never in the way of anything else.

The image writes `PHASE MS` lines (kiosk/image/README.md); the kiosk program adds what it reaches itself. Where no such file lies, the
kiosk was started by hand on a computer that had booted long before: then there is no boot to tell.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from labvirt_kiosk.trouble import Trouble

FILES = (Path("/run/labvirt/timeline"), Path("/run/user/1000/timeline"))
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TOLD = "boot-told"
SETTLE_SECONDS = 10.0
"""Waited after the viewer is connected: its first pictures come first, and the controller sees the connection meanwhile."""
PARTIAL_SECONDS = 60.0
"""After so long without a connected viewer the controller hears how far this boot came."""
RETRY_SECONDS = 30.0
LARGEST_FILE = 8192


class TimeLine:
    """Collects phases from any thread; `tell` is what takes the fields of `POST /terminals/boot` (raises Trouble)."""

    def __init__(
        self,
        tell: Callable[[Mapping[str, str]], None],
        state: Path,
        *,
        files: Iterable[Path] = FILES,
        boot_id: Path = BOOT_ID,
        settle_seconds: float = SETTLE_SECONDS,
        partial_seconds: float = PARTIAL_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._tell = tell
        self._told = state / TOLD
        self._boot_id = _text(boot_id).strip()
        self._settle_seconds = settle_seconds
        self._partial_seconds = partial_seconds
        self._retry_seconds = retry_seconds
        self._lines = {name: value for file in files for name, value in reversed(_lines(file))}
        self._own: dict[str, int] = {}
        self._lock = threading.Lock()
        self._connected = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin, if there is a boot that nobody has told yet. The program itself is the first phase of ours."""
        if self._lines and self._boot_id and _text(self._told).strip() != self._boot_id:
            self.reach("kiosk")
            threading.Thread(target=self._run, name="timeline", daemon=True).start()

    def stop(self) -> None:
        """Nothing is told after this."""
        self._stopped.set()

    def reach(self, phase: str) -> None:
        """`phase` is reached now, if it is for the first time."""
        with self._lock:
            self._own.setdefault(phase, now_ms())
        if phase == "connected":
            self._connected.set()

    def fields(self, *, complete: bool) -> dict[str, str]:
        """What is told, as of now."""
        with self._lock:
            own = dict(self._own)
        phases = {name: value for name, value in self._lines.items() if name not in ("from_disk", "image_bytes")} | own
        fields = {"boot": self._boot_id, "now": str(now_ms()), "complete": "yes" if complete else "no"}
        fields |= {f"phase_{name}": str(ms) for name, ms in phases.items()}
        if "image_bytes" in self._lines:
            fields["image_bytes"] = str(self._lines["image_bytes"])
            fields["image_from"] = "disk" if self._lines.get("from_disk") else "network"
        return fields | {name: str(value) for name, value in machine_facts().items()}

    def _run(self) -> None:
        if not self._connected.wait(self._partial_seconds):
            self._send(complete=False)
            self._connected.wait()
        if self._stopped.wait(self._settle_seconds):
            return
        while not self._send(complete=True):
            if self._stopped.wait(self._retry_seconds):
                return
        with contextlib.suppress(OSError):  # told again by the next kiosk program of this boot; the controller keeps the first
            self._told.write_text(self._boot_id + "\n", encoding="ascii")

    def _send(self, *, complete: bool) -> bool:
        if self._stopped.is_set():
            return True
        try:
            self._tell(self.fields(complete=complete))
        except Trouble:
            return False  # a stranger, or a controller that is away or older: it comes, or it does not matter
        return True


def now_ms() -> int:
    """Since the kernel began, suspended time included (clock_gettime(2), CLOCK_BOOTTIME): the clock of /proc/uptime."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def machine_facts(sys_folder: Path = Path("/sys")) -> dict[str, int]:
    """What the kernel knows of the time before it and of what was loaded for it; only what it really knows.

    - firmware_ms, loader_ms: ACPI FPDT (Documentation/ABI/testing/sysfs-firmware-acpi): ns since reset at which the firmware began to load
      and launched the boot loader, and at which that left the boot services. Many machines (all BIOS boots of QEMU) have none.
    - kernel_bytes, initrd_bytes: x86 boot parameters (Documentation/arch/x86/boot.rst: setup_sects 0x1f1, syssize 0x1f4 in paragraphs of
      16 bytes, ramdisk_size 0x218+4).
    """
    facts: dict[str, int] = {}
    boot = sys_folder / "firmware" / "acpi" / "fpdt" / "boot"
    launch, leave = (_number(boot / name) for name in ("bootloader_launch_ns", "exitbootservice_end_ns"))
    if launch:
        facts["firmware_ms"] = launch // 1_000_000
        if leave and leave >= launch:
            facts["loader_ms"] = (leave - launch) // 1_000_000
    try:
        data = (sys_folder / "kernel" / "boot_params" / "data").read_bytes()[:4096]
        sectors, size = data[0x1F1] or 4, struct.unpack_from("<I", data, 0x1F4)[0]
        ramdisk = struct.unpack_from("<I", data, 0x21C)[0]
    except (OSError, IndexError, struct.error):
        return facts
    if size:
        facts["kernel_bytes"] = (sectors + 1) * 512 + size * 16
    if ramdisk:
        facts["initrd_bytes"] = ramdisk
    return facts


def _lines(path: Path) -> list[tuple[str, int]]:
    """The `NAME NUMBER` lines; others do not count."""
    found = []
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        if name.isidentifier() and name.isascii() and value.isascii() and value.isdigit() and len(value) <= 15:
            found.append((name, int(value)))
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE).decode("ascii", "replace")
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if text.isdigit() and len(text) <= 20 else 0


def files(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where the image has written: FILES, or what LABVIRT_TIMELINE names (tests, other images)."""
    given = environment.get("LABVIRT_TIMELINE")
    return (Path(given),) if given else FILES
