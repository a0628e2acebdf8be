# SPDX-License-Identifier: MIT
"""An order to a terminal: restart or switch off. It waits for a heartbeat, is given with its answer, and is over when the kiosk confirms.

A kiosk obeys only after its confirmation was taken, so an order is done at most once; one that nobody took in time is never given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from labvirt.errors import InvalidInput

ORDER_SECONDS = 300
"""So long an order waits for its terminal: longer than any pause of a kiosk, and too short for somebody who comes in the afternoon."""

LONGEST_GRACE = 3600


class PowerWord(StrEnum):
    """What the terminal is to do with itself; its guest is another matter (domain.power_policy)."""

    RESTART = "restart"
    SHUTDOWN = "shutdown"

    @property
    def verb(self) -> str:
        """In a sentence."""
        return "shut down" if self is PowerWord.SHUTDOWN else "restart"


class Occupied(StrEnum):
    """What happens where somebody sits."""

    WARN = "warn"
    """The seat is told first, by its notice, and has the grace."""
    SPARE = "spare"
    """Nothing."""
    NOW = "now"
    """The same as anywhere else."""


class OrderState(StrEnum):
    WAITING = "waiting"
    GIVEN = "given"
    """Told to the kiosk, which has not confirmed yet: it is told again."""
    DONE = "done"
    """The kiosk has confirmed, and obeys."""
    REFUSED = "refused"
    """The kiosk may not do that: it runs on a machine that is not only a terminal."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN = frozenset({OrderState.WAITING, OrderState.GIVEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOrder:
    """`number` is 0 until it is kept. `notice` is what the seat was told because of it."""

    number: int = 0
    terminal: str
    word: PowerWord
    asked_by: str
    asked_at: datetime
    not_before: datetime
    expires_at: datetime
    state: OrderState = OrderState.WAITING
    given_at: datetime | None = None
    ended_at: datetime | None = None
    notice: str = ""
    why: str = ""
    """Refused or cancelled: why."""

    @property
    def open(self) -> bool:
        return self.state in OPEN

    def due(self, now: datetime) -> bool:
        """May a heartbeat of now be answered with it?"""
        return self.open and self.not_before <= now < self.expires_at

    def over(self, now: datetime) -> bool:
        """Is it open, and too late?"""
        return self.open and now >= self.expires_at

    def given(self, now: datetime) -> PowerOrder:
        return replace(self, state=OrderState.GIVEN, given_at=now)

    def ended(self, state: OrderState, now: datetime, why: str = "") -> PowerOrder:
        return replace(self, state=state, ended_at=now, why=why)


def new_order(terminal: str, word: PowerWord, *, by: str, now: datetime, grace_seconds: int = 0, notice: str = "") -> PowerOrder:
    """An order that may be given after the grace, for ORDER_SECONDS. Raises InvalidInput for a grace that is none."""
    check_grace(grace_seconds)
    first = now + timedelta(seconds=grace_seconds)
    return PowerOrder(
        terminal=terminal,
        word=word,
        asked_by=by,
        asked_at=now,
        not_before=first,
        expires_at=first + timedelta(seconds=ORDER_SECONDS),
        notice=notice,
    )


def check_grace(seconds: int) -> int:
    """Raises InvalidInput."""
    if not 0 <= seconds <= LONGEST_GRACE:
        raise InvalidInput("grace", f"must be 0 to {LONGEST_GRACE} seconds")
    return seconds
