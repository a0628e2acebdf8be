# SPDX-License-Identifier: MIT
"""A job as the one who does it sees it: steps, progress, log lines, and whether somebody wants it to end.

The row is the truth: whatever is written is read anew first, so that a wish to cancel that came meanwhile is never overwritten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.job import Job, JobState
from labvirt.domain.names import one_line
from labvirt.errors import Cancelled
from labvirt.usecases.ports import Ports

WRITE_SECONDS = 1.0
"""Progress is written at most so often."""
LOOK_SECONDS = 0.25
"""How long a wish to cancel may stay unseen within a step."""


LINE_LENGTH = 1000


class Interrupted(Exception):
    """The process that does the job is told to end: the job stays RUNNING and is begun again by the next. Not a LabVirtError, so that no
    deed takes it for an answer.
    """


def cancelled(number: int) -> Cancelled:
    """The error of a job that somebody did not want any more."""
    return Cancelled(f"The job {number} was cancelled.", hint=f"Who and when: labvirt job show {number}")


class Task:
    """Belongs to the thread that does the job."""

    def __init__(self, ports: Ports, job: Job, stopping: Callable[[], bool]) -> None:
        """`stopping` says whether this process is about to end; it is asked often and answers at once."""
        self._ports = ports
        self._job = job
        self._stopping = stopping
        self._shielded = False
        self._never = threading.Event()
        self._told: tuple[int, int] | None = None
        self._wrote = self._looked = -float("inf")

    @property
    def job(self) -> Job:
        """As it was last read or written here."""
        return self._job

    def step(self, words: str, *, total: int = 0, unit: str = "") -> None:
        """This is being done from now, durably; the words are a line of the log too. Raises Cancelled and Interrupted, then the step was
        not begun.
        """
        now = self._ports.clock.now()
        with self._ports.database.write() as work:
            job = self._read(work)
            self._check(job)
            self._write(work, job.at(words, now, total=total, unit=unit))
            work.jobs.say(job.number, now, words)
            work.commit()
        self._told = None
        self._wrote = self._looked = self._ports.clock.monotonic()

    def progress(self, done: int, total: int) -> None:
        """A contracts.images.Progress: of the step's unit, or of bytes when it has none. Cheap: call it often. What is not written at once
        is written with the next, at the end of the job, or by `flush`; the last (all is done) is written at once.
        Raises Cancelled and Interrupted.
        """
        new = (done, total) != (self._job.done, self._job.total)
        self._told = (done, total) if new else None
        now = self._ports.clock.monotonic()
        if new and (now - self._wrote >= WRITE_SECONDS or 0 < total <= done or not self._job.unit):
            self.flush()
        elif self._stopping() or now - self._looked >= LOOK_SECONDS:
            self.check()

    def flush(self) -> None:
        """The progress that was told last is written. Raises Cancelled and Interrupted: it is written then too."""
        if self._told is None:
            return
        with self._ports.database.write() as work:
            self._write(work, self.as_told(self._read(work)))
            work.commit()
        self._told = None
        self._wrote = self._looked = self._ports.clock.monotonic()
        self._check(self._job)

    def say(self, line: str, work: UnitOfWork | None = None) -> None:
        """One more line in the log of the job; in the open unit of work `work` if there is one, else in one of its own."""
        if work is None:
            with self._ports.database.write() as own:
                self.say(line, own)
                own.commit()
        else:
            work.jobs.say(self._job.number, self._ports.clock.now(), one_line(line, LINE_LENGTH))

    def sleep(self, seconds: float) -> None:
        """So long nothing is done here. Raises Cancelled and Interrupted, soon after there is a reason."""
        left = seconds
        while True:
            self.check()
            if left <= 0:
                return
            part = min(LOOK_SECONDS, left)
            self._never.wait(part)
            left -= part

    def check(self) -> None:
        """Raises Cancelled and Interrupted when there is a reason."""
        with self._ports.database.read() as work:
            self._job = self._read(work)
        self._looked = self._ports.clock.monotonic()
        self._check(self._job)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Inside, nothing raises Cancelled: for last steps that are done as a whole."""
        before, self._shielded = self._shielded, True
        try:
            yield
        finally:
            self._shielded = before

    def done_in(self, work: UnitOfWork, result: Mapping[str, str]) -> None:
        """The job is DONE as soon as this unit of work is committed, together with what it did. The deed returns the same result."""
        now = self._ports.clock.now()
        self._write(work, self.as_told(self._read(work)).over(JobState.DONE, now, result=result))

    def as_told(self, job: Job) -> Job:
        """The row with the progress that was told last and not written yet."""
        return job if self._told is None else replace(job, done=self._told[0], total=self._told[1], unit=job.unit or "bytes")

    def _read(self, work: UnitOfWork) -> Job:
        return work.jobs.one(self._job.number)

    def _write(self, work: UnitOfWork, job: Job) -> None:
        work.jobs.update(job)
        self._job = job

    def _check(self, job: Job) -> None:
        if self._stopping():
            raise Interrupted
        if job.cancel and not self._shielded:
            raise cancelled(job.number)
