# SPDX-License-Identifier: MIT
"""What one round of the engine saw, and what it remembers of earlier rounds: the two inputs of domain.plan.

Times are monotonic seconds, but for `wall`. None means "could not be known", which is never the same as "there is nothing".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from labvirt.domain.addresses import InterfaceName
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Profile


class RunState(StrEnum):
    """How a living machine answers; the words of contracts.hypervisor.MachineState."""

    RUNNING = "running"
    PAUSED = "paused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRun:
    """One living machine. `viewed`: somebody looks at it now (display events or flow table). `capped`: its driver paused it because
    it has written as much as it may."""

    run: RunId
    state: RunState
    reason: str = ""
    viewed: bool = False
    capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPorts:
    """TAPs that exist, and those among them that have their filters."""

    taps: frozenset[InterfaceName]
    filtered: frozenset[InterfaceName]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at everything. Guests in `busy` have an operation going on: nothing is concluded about them."""

    now: float
    guests: tuple[Guest, ...] | None
    runs: tuple[ObservedRun, ...] | None
    folders: frozenset[RunId] | None = None
    ports: ObservedPorts | None = None
    labs: Mapping[str, Lab] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    awaiting: frozenset[RunId] = frozenset()
    """Runs somebody waits for already: they run and are not ready yet."""
    shut_down: frozenset[RunId] = frozenset()
    """Runs that ended because the guest itself switched off (the event was heard)."""
    disk_room: bool = True
    """There is space to write overlays again."""
    wall: datetime | None = None
    """What the wall clock says (UTC); None: nothing is due by it."""
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    written: Mapping[RunId, int] | None = None
    """Bytes that the overlays of runs occupy, for drivers that do not look at the cap themselves (None: this one does). A run that is
    missing was not looked at."""
    spares: frozenset[RunId] = frozenset()
    """Runs that wait for their seats (domain.pool): their folders are no remains."""
    keeps: bool = False
    """What guests have written is kept for a while after their runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How often something was done for one generation of a guest, and when last."""

    generation: int
    count: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the engine remembers from round to round. An engine that has just started remembers nothing, and is the more careful for it."""

    suspects: Mapping[RunId, float] = field(default_factory=dict)
    """Runs that look over, and since when every round has said so."""
    generations: Mapping[str, int] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    """Guests whose wish was changed while we watched and is not served yet: a fresh explicit wish."""
    braked_stops: tuple[float, ...] = ()
    """When runs were stopped without a fresh explicit wish."""
    viewed: frozenset[RunId] = frozenset()
    left: Mapping[RunId, float] = field(default_factory=dict)
    stops: Mapping[RunId, Tries] = field(default_factory=dict)
    resumes: Mapping[RunId, Tries] = field(default_factory=dict)
    running_since: Mapping[RunId, float] = field(default_factory=dict)
    retries: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Guest -> (failures in a row, not before)."""
    capped: frozenset[RunId] = frozenset()
    """Runs that were paused because they had written as much as they may: they are not resumed."""
