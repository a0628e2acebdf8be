# SPDX-License-Identifier: MIT
"""Writing down how guests are: one transaction per change, only if the row is still the one that was meant, then published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from labvirt.contracts.clock import Clock
from labvirt.contracts.database import Database
from labvirt.domain.audit import Outcome, of_guest
from labvirt.domain.guest import TRANSITIONS, Guest, GuestState, Wish
from labvirt.engine.published import Published
from labvirt.errors import DriverTimeout, LabVirtError

NO_MEMORY = "Cannot allocate memory"
"""What QEMU says when the kernel refuses (errno ENOMEM)."""


SILENT = "did not answer"
"""In what is said of a guest that was not there in time (carry.py)."""


class Excuse(Protocol):
    def __call__(self, *, slow: bool) -> str:
        """See engine.gauge."""


class Rows:
    """Every operation raises DatabaseError, and then nothing was changed."""

    def __init__(self, database: Database, clock: Clock, published: Published, excuse: Excuse | None = None) -> None:
        """`excuse` says what the host was short of a moment ago (empty: nothing): then nothing is given up that may do better later."""
        self._database = database
        self._clock = clock
        self._published = published
        self._excuse = excuse

    def change(self, name: str, generation: int, step: Callable[[Guest], Guest], what: str = "") -> Guest | None:
        """The row after `step`, or None when its wish has moved on (nothing was written). `what` goes into the audit if anything
        changed."""
        with self._database.write() as work:
            row = work.guests.get(name)
            if row is None or row.generation != generation:
                return None
            after = step(row)
            if after != row:
                work.guests.update(after)
                if what:
                    outcome = Outcome.FAILED if what.startswith("failed:") else Outcome.DONE
                    work.audit.add(of_guest(self._clock.now(), name, row.lab, what, outcome=outcome))
                work.commit()
        self._published.put(after)
        return after

    def published(self, guest: Guest) -> None:
        """Tell what somebody else has written."""
        self._published.put(guest)

    def move(self, name: str, generation: int, state: GuestState, reason: str = "", what: str = "") -> Guest | None:
        """The row in this state (through RUNNING where the table has no direct way: what lives was alive before)."""
        return self.change(name, generation, lambda row: self.moved(row, state, reason), what)

    def moved(self, row: Guest, state: GuestState, reason: str = "") -> Guest:
        now = self._clock.now()
        if state is not row.state and state not in TRANSITIONS[row.state]:
            row = row.moved(GuestState.RUNNING, now)
        after = row.moved(state, now, reason)
        if after.alive and after.running_at is None:
            after = replace(after, running_at=now)
        return after

    def _short(self, error: LabVirtError | str, why: str) -> str:
        """What the host lacks that may have been the reason; empty when nothing."""
        slow = isinstance(error, DriverTimeout) or SILENT in why
        excuse = self._excuse(slow=slow) if self._excuse is not None else ""
        return excuse or (NO_MEMORY.lower() if NO_MEMORY in why else "")

    def failed(self, name: str, generation: int, error: LabVirtError | str, attempts: int, *, final: bool = False) -> Guest | None:
        """One more failure in a row: wanted again with the reason, or FAILED when there were too many or `final`.

        A host that is short of something makes nobody fail: it is tried again for as long as that lasts, with the longest pause that
        failures earn, and gives up only when it fails on a host that is well."""
        why = one_sentence(str(error))
        short = "" if final else self._short(error, why)

        def step(row: Guest) -> Guest:
            failures = min(row.failures + 1, attempts - 1) if short else row.failures + 1
            given_up = final or failures >= attempts
            begins = why[:1].lower() + why[1:] if why[1:2].islower() else why  # not "qEMU"
            reason = why if given_up else f"trying again, because {begins}"
            if short and not given_up:
                reason = one_sentence(f"trying again when the host bears it ({short}), because {begins}")
            state = GuestState.FAILED if given_up else GuestState.WANTED
            if row.wish is Wish.STOPPED:
                return row
            return replace(self.moved(row, state, reason), failures=failures)

        return self.change(name, generation, step, f"failed: {why}")


def one_sentence(text: str) -> str:
    """One line without its full stop, at most 300 characters: a guest's reason."""
    line = " ".join(text.split())
    return (line if len(line) <= 300 else line[:297] + "...").rstrip(".")
