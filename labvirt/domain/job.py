# SPDX-License-Identifier: MIT
"""A job: long work that shows its progress, may be cancelled, and survives the process that does it.

A job is done by whoever holds its lock; when that one dies, the next begins the job again. So every kind of job may be
begun again at any point of itself, and ends in the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from labvirt.errors import Conflict


class JobKind(StrEnum):
    IMPORT = "import"
    BLANK = "blank"
    EXPORT = "export"
    SCRUB = "scrub"
    SESSION = "session"
    """Open an admin session: drain clients, make the draft, start its guest."""
    PUBLISH = "publish"
    """Shut the session's guest down, seal, canary, move the pointer."""
    CANARY = "canary"
    """Try a sealed version."""
    FLATTEN = "flatten"
    GARBAGE = "garbage"
    RESCUE_FILES = "rescue-files"
    BACKUP = "backup"
    TEMPLATE = "template"
    """Boot a guest of the profile and freeze it, for instant clones."""


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})

ATTEMPTS = 5
"""A job that killed its process so often is not begun again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """The error it failed with, as errors.py has it."""

    code: str
    sentence: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`done` of `total` are in `unit` ('bytes', 'steps', 'seconds'; empty: cannot be said) and belong to the present step."""

    number: int
    kind: JobKind
    subject: str
    """What it works on: an image, a version's label, a draft."""
    asked_by: str
    asked_at: datetime
    arguments: Mapping[str, str] = field(default_factory=dict)
    state: JobState = JobState.QUEUED
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    step: str = ""
    """What is being done, or waited for, as words after 'now:'."""
    step_since: datetime | None = None
    done: int = 0
    total: int = 0
    unit: str = ""
    cancel: bool = False
    """Somebody wants it to end; the job looks at it between its steps and within long ones."""
    result: Mapping[str, str] = field(default_factory=dict)
    error: JobError | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def rate(self, now: datetime) -> float | None:
        """Units per second of the present step; None while that cannot be said."""
        if self.step_since is None or not self.unit or self.done <= 0:
            return None
        seconds = (now - self.step_since).total_seconds()
        return self.done / seconds if seconds > 0 else None

    def seconds_left(self, now: datetime) -> float | None:
        """Of the present step, if it goes on like this."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate and self.total >= self.done else None

    def begun(self, now: datetime) -> Job:
        """Taken by somebody (again)."""
        if self.ended:
            raise Conflict(f"The job {self.number} is {self.state}.")
        return replace(self, state=JobState.RUNNING, attempts=self.attempts + 1, started_at=self.started_at or now)

    def at(self, step: str, now: datetime, *, total: int = 0, unit: str = "") -> Job:
        """In its next step."""
        return replace(self, step=step, step_since=now, done=0, total=total, unit=unit)

    def over(self, state: JobState, now: datetime, *, result: Mapping[str, str] | None = None, error: JobError | None = None) -> Job:
        """Ended."""
        return replace(self, state=state, ended_at=now, result=result or {}, error=error)
