# SPDX-License-Identifier: MIT
"""What a terminal says of the machine it runs on, and what is to be thought of it. A claim, never a fact: anybody can say anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from labvirt.domain.findings import Finding, Severity
from labvirt.domain.names import one_line
from labvirt.errors import InvalidInput

NUMBERS = {"memory_mib": 1 << 24, "cpus": 4096, "link_mbps": 1_000_000}
"""The largest that is believed: 16 TiB, 4096 processors, 1 Tbit/s."""
TEXTS = {"cpu": 80, "vendor": 60, "product": 80, "bios": 60, "interface": 15}
MOST_SCREENS = 4
SCREEN_LENGTH = 40

LITTLE_MEMORY_MIB = 1800
"""A PC with 2 GB has a little less for Linux: firmware and graphics take their part before."""
SLOW_LINK_MBPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """None and empty: the terminal could not tell. `screens` None: it could not look; empty: none is plugged in."""

    memory_mib: int | None = None
    cpus: int | None = None
    cpu: str = ""
    vendor: str = ""
    product: str = ""
    bios: str = ""
    interface: str = ""
    link_mbps: int | None = None
    screens: tuple[str, ...] | None = None

    @property
    def words(self) -> str:
        """'OptiPlex 7010, 4 x Intel Core i5, 3.8 GB, screen 1920x1080, 1 Gbit/s': what is known of it."""
        parts = [
            " ".join(part for part in (self.vendor, self.product) if part),
            (f"{self.cpus} x " if self.cpus else "") + self.cpu if self.cpu else f"{self.cpus} processors" if self.cpus else "",
            f"{self.memory_mib / 1024:.1f} GB" if self.memory_mib is not None else "",
            "" if self.screens is None else "screen " + " and ".join(self.screens) if self.screens else "no screen",
            link_words(self.link_mbps),
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareReport:
    """`at`: when it was said last; `since`: since when it says just this."""

    terminal: str
    hardware: Hardware
    at: datetime
    since: datetime


def check_hardware(
    *,
    memory_mib: int | None = None,
    cpus: int | None = None,
    link_mbps: int | None = None,
    screens: tuple[str, ...] | None = None,
    **texts: str,
) -> Hardware:
    """What a terminal said, cleaned. Raises InvalidInput for numbers that no machine has and for too many screens."""
    for field, value in (("memory_mib", memory_mib), ("cpus", cpus), ("link_mbps", link_mbps)):
        if value is not None and not 0 < value <= NUMBERS[field]:
            raise InvalidInput(field, f"must be 1 to {NUMBERS[field]}")
    if screens is not None and len(screens) > MOST_SCREENS:
        raise InvalidInput("screens", f"must be at most {MOST_SCREENS}")
    return Hardware(
        memory_mib=memory_mib,
        cpus=cpus,
        link_mbps=link_mbps,
        screens=None if screens is None else tuple(one_line(each, SCREEN_LENGTH) for each in screens),
        **{field: one_line(texts.get(field, ""), limit) for field, limit in TEXTS.items()},
    )


def judge(hardware: Hardware, terminal: str) -> tuple[Finding, ...]:
    """What makes this machine a poor terminal."""

    def say(code: str, sentence: str, fix: str) -> Finding:
        return Finding(code=code, severity=Severity.WARNING, sentence=sentence, fix=fix, subject=terminal)

    found = []
    if hardware.memory_mib is not None and hardware.memory_mib < LITTLE_MEMORY_MIB:
        found.append(
            say(
                "terminal-memory",
                f"It has {hardware.memory_mib / 1024:.1f} GB of memory; the kiosk and a full-screen video want 2.",
                "Add memory, or give it a lighter viewer.",
            )
        )
    if hardware.link_mbps is not None and hardware.link_mbps < SLOW_LINK_MBPS:
        found.append(
            say(
                "terminal-link",
                f"Its network runs at {link_words(hardware.link_mbps)}: its start and moving pictures are slow.",
                "Look at the cable (all eight wires) and at the switch's port.",
            )
        )
    if hardware.screens == ():
        found.append(say("terminal-screen", "It sees no screen.", "Look at the screen's cable and switch; restart the terminal."))
    return tuple(found)


def link_words(mbps: int | None) -> str:
    """'1 Gbit/s', '100 Mbit/s'; empty when it is not known."""
    if mbps is None:
        return ""
    return f"{mbps / 1000:g} Gbit/s" if mbps >= 1000 else f"{mbps} Mbit/s"
