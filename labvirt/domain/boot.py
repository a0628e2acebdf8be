# SPDX-License-Identifier: MIT
"""One boot of a terminal as a time line: what it waited for, from its firmware to the viewer's connection. Pure.

The phases are what the terminal says of itself, in milliseconds since its kernel began to count (CLOCK_BOOTTIME; the boot's own clock, so
no wrong time of day disturbs it). Beside them stand the moments that the controller saw, put on the same scale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from labvirt.errors import InvalidInput

LONGEST_MS = 366 * 24 * 3600 * 1000
"""A year. A terminal may be switched on for days before it is adopted or its guest may start; its desktop ends its boot all the same."""
MOST_BYTES = 1 << 40

PHASES: dict[str, tuple[str, str]] = {
    "kernel": ("kernel", "Kernel starts, initrd unpacked"),
    "modules": ("kernel", "Drivers of the hardware loaded"),
    "address": ("network", "Cable and address (DHCP)"),
    "fetched": ("image", "Image fetched"),
    "image": ("image", "Image checked (SHA-256)"),
    "mounted": ("image", "Image opened"),
    "root": ("system", "Over to the image"),
    "devices": ("system", "Devices found"),
    "screen": ("screen", "Screen started (X)"),
    "kiosk": ("kiosk", "Kiosk program started"),
    "answer": ("kiosk", "First answer of the controller"),
    "ready": ("guest", "Waited for the guest"),
    "viewer": ("viewer", "Ticket, viewer started"),
    "connected": ("viewer", "Viewer connected to the guest"),
}
"""Phase -> its stage, and what the time before it was spent on, in the order of a boot. A phase is the moment at which that was done."""

BEFORE = {"firmware": "Firmware", "loader": "Boot loader"}
"""What lies before the kernel's clock; known only where the firmware keeps an ACPI FPDT."""

OWN = {"asked": "its first question came", "ticket": "it got a ticket", "flow": "a connection to the guest was seen"}
"""What the controller itself saw of a boot."""

SOURCES = ("network", "disk", "")
"""Where the image came from; empty: the terminal did not say."""

_BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One boot. Everything but `at` and `own` is the terminal's word. Raises InvalidInput naming the field."""

    terminal: str
    boot_id: str
    """The kernel's own (/proc/sys/kernel/random/boot_id): another one each time."""
    at: datetime
    """When it was told, by the controller's clock."""
    phases: tuple[tuple[str, int], ...]
    """(phase, ms since the kernel began), in the order of PHASES."""
    own: tuple[tuple[str, int], ...] = ()
    """(what of OWN, ms on the same scale): exact to the time that a request is on its way."""
    firmware_ms: int | None = None
    loader_ms: int | None = None
    image_from: str = ""
    image_bytes: int | None = None
    kernel_bytes: int | None = None
    initrd_bytes: int | None = None
    complete: bool = True
    """False: told before its viewer was connected; the rest may never have come."""
    kiosk: str = ""

    def __post_init__(self) -> None:
        check_boot_id(self.boot_id)
        if not self.phases:
            raise InvalidInput("phases", "are missing", hint=f"At least one of {', '.join(PHASES)}, in ms since the kernel's start.")
        for name, ms in self.phases:
            if name not in PHASES:
                raise InvalidInput("phases", f"must be of {', '.join(PHASES)}")
            _within(name, ms, LONGEST_MS)
        if len({name for name, _ in self.phases}) < len(self.phases):
            raise InvalidInput("phases", "are told twice")
        if self.image_from not in SOURCES:
            raise InvalidInput("image_from", "must be network or disk")
        for field, most in (
            ("firmware_ms", LONGEST_MS),
            ("loader_ms", LONGEST_MS),
            ("image_bytes", MOST_BYTES),
            ("kernel_bytes", MOST_BYTES),
            ("initrd_bytes", MOST_BYTES),
        ):
            value = getattr(self, field)
            if value is not None:
                _within(field, value, most)

    @property
    def fetched_bytes(self) -> int | None:
        """What this boot took from the network: the image, if it came from there, kernel and initrd. None where a part is not known."""
        image = 0 if self.image_from == "disk" else self.image_bytes
        if image is None or self.kernel_bytes is None or self.initrd_bytes is None:
            return None
        return image + self.kernel_bytes + self.initrd_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a boot. Times are ms since the line's begin."""

    name: str
    stage: str
    label: str
    begin_ms: int
    end_ms: int

    @property
    def ms(self) -> int:
        return self.end_ms - self.begin_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLine:
    """The parts of one boot, without gaps: it begins with the firmware where that is known, else with the kernel."""

    parts: tuple[Part, ...]

    @property
    def total_ms(self) -> int:
        return self.parts[-1].end_ms if self.parts else 0

    @property
    def biggest(self) -> Part | None:
        """What took longest; the earlier of two equal ones."""
        return max(self.parts, key=lambda part: part.ms, default=None)


def time_line(boot: Boot) -> TimeLine:
    """The stacked time line. A phase that is missing gives its time to the next one; one that lies before its predecessor (a clock
    cannot do that, a wrong client can) takes no time.
    """
    parts: list[Part] = []
    at = 0
    for name, ms in (("firmware", boot.firmware_ms), ("loader", boot.loader_ms)):
        if ms is not None:
            parts.append(Part(name=name, stage="firmware", label=BEFORE[name], begin_ms=at, end_ms=at + ms))
            at += ms
    kernel = at
    told = dict(boot.phases)
    for name, (stage, label) in PHASES.items():
        if name in told:
            end = max(at, kernel + told[name])
            parts.append(Part(name=name, stage=stage, label=label, begin_ms=at, end_ms=end))
            at = end
    return TimeLine(parts=tuple(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSummary:
    """One part over several boots, in ms; `boots` of them told it."""

    name: str
    label: str
    median_ms: float
    worst_ms: int
    worst_terminal: str
    boots: int


def summary(boots: Iterable[Boot]) -> tuple[PartSummary, ...]:
    """Every part that any of them told, in the order of a boot, and `total` at the end (complete boots only)."""
    found: dict[str, list[tuple[int, str]]] = {}
    labels: dict[str, str] = {}
    for boot in boots:
        line = time_line(boot)
        for part in line.parts:
            found.setdefault(part.name, []).append((part.ms, boot.terminal))
            labels[part.name] = part.label
        if boot.complete:
            found.setdefault("total", []).append((line.total_ms, boot.terminal))
    labels["total"] = "Whole boot"
    return tuple(_summed(name, labels[name], found[name]) for name in (*BEFORE, *PHASES, "total") if name in found)


def check_boot_id(value: str) -> str:
    """Return it if it is a boot id as the kernel writes it; raise InvalidInput('boot') otherwise."""
    if not _BOOT_ID.match(value):
        raise InvalidInput("boot", "must be the kernel's boot id", hint="cat /proc/sys/kernel/random/boot_id")
    return value


def _summed(name: str, label: str, values: Sequence[tuple[int, str]]) -> PartSummary:
    worst = max(values)
    return PartSummary(
        name=name,
        label=label,
        median_ms=median(ms for ms, _ in values),
        worst_ms=worst[0],
        worst_terminal=worst[1],
        boots=len(values),
    )


def _within(field: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise InvalidInput(field, f"must be 0 to {most}")
