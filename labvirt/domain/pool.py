# SPDX-License-Identifier: MIT
"""A warm pool: how many seats of a lab, of one profile, have their next run waiting; and a spare, one run that waits.

A spare belongs to its seat from the beginning: name, user, disks and port are the seat's, and nothing of it has to be made somebody
else's when the terminal asks. So a pool of fewer spares than seats serves those that are likeliest to come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from labvirt.domain.addresses import LAST_SEAT
from labvirt.domain.guest import RunId
from labvirt.errors import InvalidInput

KEPT_MINUTES = 240
LONGEST_MINUTES = 7 * 24 * 60
"""What waits for longer has a clock and leases of another week."""


class SpareKind(StrEnum):
    """How far a spare has come: the further, the less its seat waits, and the more it takes of the host."""

    READY = "ready"
    """It runs, with its address, as any guest of the seat; nobody has asked for it yet."""
    PAUSED = "paused"
    """A clone that has its template's state and stands still, without a network card."""
    PRESPAWNED = "prespawned"
    """The process of a clone, which has no state yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Of one lab and profile; none is as one with all counts 0. A spare that waited for `minutes` is made anew."""

    lab: str
    profile: str
    ready: int = 0
    paused: int = 0
    prespawned: int = 0
    minutes: int = KEPT_MINUTES

    def __post_init__(self) -> None:
        for name in SpareKind:
            if not 0 <= self.count(name) <= LAST_SEAT:
                raise InvalidInput(name, f"must be 0 to {LAST_SEAT}: so many seats of the lab wait ready")
        if self.total > LAST_SEAT:
            raise InvalidInput("ready", f"all three together are more than the {LAST_SEAT} seats that a lab can have")
        if not 1 <= self.minutes <= LONGEST_MINUTES:
            raise InvalidInput("minutes", f"must be 1 to {LONGEST_MINUTES} (a week)")

    def count(self, kind: SpareKind) -> int:
        return {SpareKind.READY: self.ready, SpareKind.PAUSED: self.paused, SpareKind.PRESPAWNED: self.prespawned}[kind]

    @property
    def total(self) -> int:
        return self.ready + self.paused + self.prespawned

    @property
    def age(self) -> timedelta:
        return timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """The run that waits for a seat, at most one for each. Written down before anything of it is made, and as long as anything of it may
    be left. `template` is the template's name; empty for one that is READY, whose origin its guest tells."""

    run: RunId
    kind: SpareKind
    lab: str
    profile: str
    since: datetime
    template: str = ""
