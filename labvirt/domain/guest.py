# SPDX-License-Identifier: MIT
"""A guest: one running (or wanted) virtual machine, and the table of its states.

Rule 1: a wish is written before the act (wish, generation), a result after it (state, reason).
Rule 2: states change only along TRANSITIONS; `Guest.moved` is the only way.
Rule 3: every change of the wish bumps the generation; a run belongs to exactly one generation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from labvirt.domain.image import DiskChoice
from labvirt.errors import Conflict, InvalidInput


class Wish(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"


class Purpose(StrEnum):
    """Why a guest exists. Only SEAT guests belong to a terminal's seat and choose their profile by placement; the others live on the
    16 special numbers of their lab, with profile and disks fixed by who wanted them, and their row is used again when they are off."""

    SEAT = "seat"
    ADMIN = "admin"
    """An admin session: its first disk of the session's image is a draft."""
    CANARY = "canary"
    """A sealed version on trial."""
    RESCUE = "rescue"
    """A kept overlay, started once more."""
    TEMPLATE = "template"
    """Booted to be frozen: instant clones begin where it stops (domain.template). It has no network card."""


class Due(StrEnum):
    """What happens to a living guest at `due_at`."""

    FRESH = "fresh"
    """A fresh run: the versions that are published then."""
    STOP = "stop"


def begun_as(origin: str) -> str:
    """From `Guest.origin`: 'clone', 'paused', 'prespawned', 'boot', or nothing where it has not begun."""
    words = origin.removeprefix("ready: ")
    for how in ("clone", "paused clone", "prespawned clone"):
        if words.startswith(f"{how} of "):
            return how.split()[0]
    return "boot" if words else ""


class GuestState(StrEnum):
    WANTED = "wanted"
    """Somebody wants it; it waits for its turn (reason: its place and what the host lacks)."""
    STARTING = "starting"
    """Being made; the reason says which step or what it waits for."""
    RUNNING = "running"
    CONNECTED = "connected"
    """Running, and a viewer is seen."""
    PAUSED = "paused"
    """QEMU stopped it (disk full); it goes on when the reason is gone."""
    SILENT = "silent"
    """The process lives and does not answer. Nothing is done to it without a person's word."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


_ALIVE = {GuestState.RUNNING, GuestState.CONNECTED, GuestState.PAUSED, GuestState.SILENT}
_ENDS = {GuestState.STOPPING, GuestState.STOPPED, GuestState.FAILED}

TRANSITIONS: dict[GuestState, frozenset[GuestState]] = {
    GuestState.WANTED: frozenset({GuestState.STARTING, GuestState.STOPPED, GuestState.FAILED} | _ALIVE),
    GuestState.STARTING: frozenset({GuestState.WANTED} | _ALIVE | _ENDS),
    GuestState.RUNNING: frozenset(_ALIVE | _ENDS | {GuestState.WANTED}),
    GuestState.CONNECTED: frozenset(_ALIVE | _ENDS | {GuestState.WANTED}),
    GuestState.PAUSED: frozenset(_ALIVE | _ENDS | {GuestState.WANTED}),
    GuestState.SILENT: frozenset(_ALIVE | _ENDS | {GuestState.WANTED}),
    GuestState.STOPPING: frozenset(_ENDS | _ALIVE | {GuestState.WANTED}),
    GuestState.STOPPED: frozenset({GuestState.WANTED} | _ALIVE),
    GuestState.FAILED: frozenset({GuestState.WANTED, GuestState.STOPPED, GuestState.STOPPING} | _ALIVE),
}
"""From -> to. Every state may become an alive one: what runs is the truth (adoption), whatever was believed before."""


class StopHow(StrEnum):
    """The stop verbs, from polite to final. SHUTDOWN: ACPI power button, the guest decides. STOP: the machine is switched
    off (QMP quit, disks flushed). KILL: SIGKILL, for a process that answers nothing."""

    SHUTDOWN = "shutdown"
    STOP = "stop"
    KILL = "kill"


_STRENGTH = (StopHow.SHUTDOWN, StopHow.STOP, StopHow.KILL)

_RUN = re.compile(r"([a-z][a-z0-9-]{0,50})\.g([1-9][0-9]{0,8})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class RunId:
    """One start of one guest: the name of its folder and the key by which drivers know it ('lab-a-07.g3')."""

    guest: str
    generation: int

    def __post_init__(self) -> None:
        if not _RUN.match(str(self)):
            raise InvalidInput("run", "is not the name of a run", hint="It looks like lab-a-07.g3")

    @classmethod
    def parse(cls, text: str) -> RunId:
        match = _RUN.match(text)
        if not match:
            raise InvalidInput("run", "is not the name of a run", hint="It looks like lab-a-07.g3")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.guest}.g{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Wish and last known state of the guest of one seat or special number. `disks` are recorded when its run is made, and kept."""

    name: str
    lab: str
    seat: int
    wish: Wish
    generation: int
    """Generation of the wish: bumped by every change of it."""
    state: GuestState
    since: datetime
    reason: str = ""
    """Waiting: what for. Failed, paused, silent: why. One sentence without a full stop."""
    terminal: str | None = None
    profile: str | None = None
    disks: tuple[DiskChoice, ...] = ()
    run: RunId | None = None
    """The run that serves this wish; None until one is made."""
    host: str | None = None
    stop_how: StopHow = StopHow.SHUTDOWN
    asked_at: datetime | None = None
    started_at: datetime | None = None
    running_at: datetime | None = None
    failures: int = 0
    """Starts that failed in a row; a run that stays up resets it."""
    purpose: Purpose = Purpose.SEAT
    source: str = ""
    """ADMIN: the draft it writes; RESCUE: the run whose kept overlays lie below its own; CANARY, TEMPLATE: the job that wants it
    ('job-7')."""
    cdrom: str = ""
    """Absolute path of a disc image that lies in its first CD-ROM drive (one is added when the profile has none)."""
    boot_cdrom: bool = False
    due: Due | None = None
    due_at: datetime | None = None
    notice: str = ""
    """One sentence for whoever sits there (why and when it will be stopped); the terminal's answer carries it."""
    origin: str = ""
    """How its run began: 'clone of desktop.t3', 'boot', or 'boot: ' and why it is no clone although its profile wants that; 'paused clone
    of ...', 'prespawned clone of ...' when that clone had waited, 'ready: ' before any of them when it ran before somebody asked
    (domain.pool). Empty while it has not begun."""

    def __post_init__(self) -> None:
        if (self.due is None) != (self.due_at is None):
            raise ValueError("due and due_at come together")
        if self.boot_cdrom and not self.cdrom:
            raise InvalidInput("boot", "there is no CD to boot from", hint="Name one: --cdrom FILE")

    def with_due(self, due: Due | None, at: datetime | None, notice: str = "") -> Guest:
        """Told when it will be stopped or started afresh (None: that was called off)."""
        return replace(self, due=due, due_at=at, notice=notice if due else "")

    @property
    def alive(self) -> bool:
        return self.state in _ALIVE

    @property
    def is_clone(self) -> bool:
        """Did its run begin where a template was frozen? `origin` says of which."""
        return begun_as(self.origin) in ("clone", "paused", "prespawned")

    @property
    def ready(self) -> bool:
        """May a viewer be sent there now?"""
        return self.wish is Wish.RUNNING and self.state in (GuestState.RUNNING, GuestState.CONNECTED)

    def moved(self, state: GuestState, now: datetime, reason: str = "") -> Guest:
        """The guest in its next state; the same guest when nothing changes. Raises Conflict for a step that the table forbids."""
        if state is self.state:
            return self if reason == self.reason else replace(self, reason=reason)
        if state not in TRANSITIONS[self.state]:
            raise Conflict(f"{self.name} cannot go from {self.state} to {state}.")
        return replace(self, state=state, since=now, reason=reason)

    def wanted(self, now: datetime, *, terminal: str | None = None, fresh: bool = False) -> Guest:
        """With the wish to run. `fresh` asks for a new run even if one serves already. A living guest keeps its run otherwise."""
        terminal = terminal or self.terminal
        if self.wish is Wish.RUNNING and not fresh and self.state not in (GuestState.FAILED, GuestState.STOPPED):
            return self if terminal == self.terminal else replace(self, terminal=terminal)
        return replace(
            self,
            wish=Wish.RUNNING,
            generation=self.generation + 1,
            state=GuestState.WANTED,
            since=now,
            reason="",
            terminal=terminal,
            asked_at=now,
            failures=0 if fresh else self.failures,
            due=None,
            due_at=None,
            notice="",
        )

    def unwanted(self, how: StopHow) -> Guest:
        """With the wish to be stopped; the state follows when the engine has acted. A stronger verb replaces a weaker one."""
        if self.wish is Wish.STOPPED and _STRENGTH.index(how) <= _STRENGTH.index(self.stop_how):
            return self
        return replace(self, wish=Wish.STOPPED, generation=self.generation + 1, stop_how=how, due=None, due_at=None, notice="")
