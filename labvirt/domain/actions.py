# SPDX-License-Identifier: MIT
"""What the engine may do about a difference between wish and reality, as values. Nothing here acts.

Each action names the generation of the row it was planned for: who carries it out looks again and does nothing when the row has
moved on. Only Stop, RemoveRun, KeepRun and Unplug take something away; domain.plan says which evidence they need.
"""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.domain.addresses import InterfaceName
from labvirt.domain.findings import Finding
from labvirt.domain.guest import GuestState, RunId, StopHow


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Nothing of this guest lives and it is wanted: it may take its place in the queue."""

    guest: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Write down how the guest's own run is."""

    guest: str
    generation: int
    state: GuestState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """A living run the row did not know serves the wish: the row takes its run and generation."""

    guest: str
    generation: int
    run: RunId
    state: GuestState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitReady:
    """The run lives and has not been ready yet: wait for it."""

    guest: str
    generation: int
    run: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """`own`: the run is the row's own and the wish has moved on; otherwise it is a left-over of an older generation."""

    guest: str
    generation: int
    run: RunId
    how: StopHow
    own: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The process is gone although nobody wished it: start again (after a pause that grows with the failures)."""

    guest: str
    generation: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFailed:
    """It failed too often in a row: left alone until somebody asks again."""

    guest: str
    generation: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkStopped:
    """The guest is off. `from_inside`: it switched itself off, so the wish becomes 'stopped' too."""

    guest: str
    generation: int
    reason: str = ""
    from_inside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """A fresh run is to replace this one. `why` is said in the history."""

    guest: str
    generation: int
    run: RunId
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """The guest is to be stopped. `why` is said in the history."""

    guest: str
    generation: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """It has written more than it may, and its driver does not look at that itself: it is to stand still."""

    guest: str
    generation: int
    run: RunId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """It was paused (disk full) and there is room again."""

    guest: str
    generation: int
    run: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """It has stayed up: earlier failures are forgotten."""

    guest: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replug:
    """A living guest's TAP has lost its filters: they are set again."""

    guest: str
    generation: int
    tap: InterfaceName


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplug:
    """The TAP of a guest that is off."""

    guest: str
    generation: int
    tap: InterfaceName


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRun:
    """A folder without a process, of a run that its row proves to be over."""

    guest: str
    generation: int
    run: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRun:
    """As RemoveRun, but what was written is kept for a while, in case somebody says 'oops'. `why` is how the run ended."""

    guest: str
    generation: int
    run: RunId
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """A living run that nobody can be shown to want or to have given up: it is left running, and reported."""

    run: RunId
    finding: Finding


Action = (
    Start
    | Note
    | Adopt
    | AwaitReady
    | Stop
    | Retry
    | MarkFailed
    | MarkStopped
    | Refresh
    | Retire
    | Pause
    | Resume
    | Settle
    | Replug
    | Unplug
    | RemoveRun
    | KeepRun
    | Quarantine
)
