# SPDX-License-Identifier: MIT
"""What happens to a guest when its terminal is switched off, and the goodbye that a terminal says before.

A terminal that vanishes without a goodbye (its power cord) is only a viewer that left: domain.lab.OnLeave.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from labvirt.domain.power_order import PowerWord

RETURN_SECONDS = 10
"""A heartbeat that comes so soon after a goodbye was on its way before it: no machine starts that fast."""


class OnPowerOff(StrEnum):
    KEEP = "keep"
    STOP = "stop"
    """After the lab's `leave_grace_seconds`, by its power button (ACPI); called off when the terminal comes back before."""


DEFAULT = OnPowerOff.STOP
WHOLE_LAB = 0
"""In the place of a seat's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPolicy:
    """`seat` WHOLE_LAB: of every seat that has none of its own."""

    lab: str
    seat: int
    on_power_off: OnPowerOff


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """The last goodbye of a terminal that has not come back. `stop_at`: when its guest is stopped for it, None when it is not."""

    terminal: str
    word: PowerWord
    at: datetime
    stop_at: datetime | None = None

    def ended_by(self, heartbeat: datetime) -> bool:
        """Does a heartbeat of this moment show that the terminal is back?"""
        return heartbeat - self.at >= timedelta(seconds=RETURN_SECONDS)


def depart(terminal: str, word: PowerWord, policy: OnPowerOff, grace_seconds: int, now: datetime) -> Departure:
    """What a goodbye comes to: a restart leaves the guest, a shutdown does what the policy says."""
    stops = word is PowerWord.SHUTDOWN and policy is OnPowerOff.STOP
    return Departure(terminal=terminal, word=word, at=now, stop_at=now + timedelta(seconds=grace_seconds) if stops else None)
