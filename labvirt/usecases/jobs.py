# SPDX-License-Identifier: MIT
"""Jobs: asked for, done by whoever takes their lock, watched, cancelled. What each kind does is its own module's (deeds.py).

A job whose process was killed is still RUNNING and its lock is free: the next who looks begins it again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.audit import Outcome
from labvirt.domain.caller import CallerKind
from labvirt.domain.job import ATTEMPTS, Job, JobError, JobKind, JobState
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import Cancelled, Conflict, LabVirtError
from labvirt.usecases import whose
from labvirt.usecases.deeds import deed_of
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible
from labvirt.usecases.task import Interrupted, Task, cancelled

log = logging.getLogger(__name__)

KEPT = 500
"""Ended jobs; older ones are forgotten with their logs."""
TRIM_EVERY = 16
ALL = 10_000
_NO_ARGUMENTS: Mapping[str, str] = {}


def never() -> bool:
    """The `stopping` of a process that does not end before its work does."""
    return False


def enqueue(ports: Ports, kind: JobKind, subject: str, *, by: str, arguments: Mapping[str, str] = _NO_ARGUMENTS) -> Job:
    """A new job, durable; the engine hears of it. Raises DatabaseError."""
    with ports.database.write() as work:
        job = enqueue_in(ports, work, kind, subject, by=by, arguments=arguments)
        work.commit()
    ports.poke()
    return job


def enqueue_in(
    ports: Ports, work: UnitOfWork, kind: JobKind, subject: str, *, by: str, arguments: Mapping[str, str] = _NO_ARGUMENTS
) -> Job:
    """A new job, together with whatever else is written in this unit of work. The caller commits, then pokes the engine."""
    asked = Job(number=0, kind=kind, subject=subject, asked_by=one_line(by), asked_at=ports.clock.now(), arguments=dict(arguments))
    job = work.jobs.add(asked)
    if job.number % TRIM_EVERY == 0:
        work.jobs.trim(KEPT)
    return job


@needs(Right.LOOK, each=True)
def everything(ports: Ports, *, unended: bool = False, last: int = 50) -> tuple[Job, ...]:
    """The newest first."""
    with ports.database.read() as work:
        return visible(ports, work.jobs.list(unended=unended, last=last), lambda job: whose.of_job(work, job))


@needs(Right.LOOK, each=True)
def cancellable(ports: Ports, found: Iterable[Job]) -> frozenset[int]:
    """Numbers of those among them that the caller may cancel now."""
    going = [job for job in found if not job.ended and not job.cancel]
    if ports.caller.may(Right.UPDATE, None):
        return frozenset(job.number for job in going)
    with ports.database.read() as work:
        return frozenset(job.number for job in going if whose.of_job(work, job).allows(ports.caller, Right.UPDATE))


@needs(Right.LOOK, job="number")
def one(ports: Ports, number: int) -> Job:
    """Raises NotFound."""
    with ports.database.read() as work:
        return work.jobs.one(number)


@needs(Right.LOOK, job="number")
def lines(ports: Ports, number: int) -> tuple[tuple[datetime, str], ...]:
    """Its log, the oldest first. Raises NotFound."""
    with ports.database.read() as work:
        work.jobs.one(number)
        return work.jobs.lines(number)


def unfinished(ports: Ports) -> tuple[int, ...]:
    """Numbers of the jobs that are QUEUED, or RUNNING (whether anybody does them is told by `run`), the oldest first."""
    return tuple(sorted(job.number for job in everything(ports, unended=True, last=ALL)))


@needs(Right.UPDATE, job="number")
def cancel(ports: Ports, number: int, *, by: str) -> Job:
    """A job that nobody has begun is CANCELLED now; one that is being done ends soon (its flag is set), unless it is in its last steps.
    Raises NotFound, Conflict (it has ended otherwise).
    """
    now = ports.clock.now()
    with ports.database.write() as work:
        job = work.jobs.one(number)
        if job.state is JobState.CANCELLED or (job.cancel and not job.ended):
            return job
        if job.ended:
            raise Conflict(f"The job {number} is {job.state}: there is nothing to cancel.", hint=f"Look at it: labvirt job show {number}")
        job = replace(job, cancel=True)
        ports.note(work, job.subject, f"its job {number} ({job.kind}) was cancelled by {one_line(by)}", verb="cancel", noun="job")
        work.jobs.say(number, now, f"cancelled by {one_line(by)}")
        if job.state is JobState.QUEUED:
            job = job.over(JobState.CANCELLED, now, error=_as_said(cancelled(number)))
        work.jobs.update(job)
        work.commit()
    ports.poke()
    return job


def run(ports: Ports, number: int, *, stopping: Callable[[], bool] = never) -> Job | None:
    """The job as it is after it was done here; None when somebody else does it. An ended job is given back as it is; one that was
    interrupted (`stopping`) is still RUNNING. The errors of the job itself become its `error`. Raises NotFound, HostNotReady (no
    lock), DatabaseError (its row cannot be written: it stays as it is and may be taken up again).
    """
    held = ports.locks.take(f"job-{number}")
    if held is None:
        return None
    with held:
        job = _begun(ports, number)
        if job.ended:
            return job
        # What it writes down is done for who asked for it.
        asker = replace(ports.caller, name=job.asked_by) if ports.caller.kind is CallerKind.MACHINE else ports.caller
        ports = ports.on_behalf_of(asker)
        return _done(ports, Task(ports, job, stopping))


@needs(Right.LOOK, job="number")
def wait(ports: Ports, number: int, told: Callable[[Job], None], *, pause: float = 0.25) -> Job:
    """The job when it has ended, whoever does it; `told` hears of it at once and after each change. Raises NotFound, DatabaseError."""
    never_set = threading.Event()
    before: Job | None = None
    while True:
        job = one(ports, number)
        if job != before:
            told(job)
            before = job
        if job.ended:
            return job
        never_set.wait(pause)


def _begun(ports: Ports, number: int) -> Job:
    """The job is RUNNING and counts one attempt more; or it has ended, at the latest now: somebody who kills its process again and again
    is not given another one.
    """
    now = ports.clock.now()
    with ports.database.write() as work:
        job = work.jobs.one(number)
        if job.ended:
            return job
        if job.attempts >= ATTEMPTS:
            work.jobs.say(number, now, "not begun again")
            job = job.over(JobState.FAILED, now, error=_too_often(job))
        else:
            again = job.attempts > 0
            job = job.begun(now)
            if again:
                work.jobs.say(number, now, f"begun again (attempt {job.attempts})")
        work.jobs.update(job)
        work.commit()
    return job


def _done(ports: Ports, task: Task) -> Job:
    number = task.job.number
    try:
        result = deed_of(task.job.kind)(ports, task)
    except Interrupted:
        return _interrupted(ports, number)
    except Cancelled as error:
        return _over(ports, task, JobState.CANCELLED, error=_as_said(error))
    except LabVirtError as error:
        log.info("the job %d (%s %s) failed: %s", number, task.job.kind, task.job.subject, error)
        return _over(ports, task, JobState.FAILED, error=_as_said(error))
    except Exception:
        log.exception("the job %d (%s %s) met a mistake of the program", number, task.job.kind, task.job.subject)
        return _over(ports, task, JobState.FAILED, error=_mistake())
    return _over(ports, task, JobState.DONE, result=result)


def _over(ports: Ports, task: Task, state: JobState, *, result: Mapping[str, str] = _NO_ARGUMENTS, error: JobError | None = None) -> Job:
    """The job has ended, unless the deed has written that itself already: that stays."""
    now = ports.clock.now()
    with ports.database.write() as work:
        job = work.jobs.one(task.job.number)
        if job.ended:
            return job
        job = task.as_told(job).over(state, now, result=result, error=error)
        work.jobs.update(job)
        work.jobs.say(job.number, now, f"{state}: {error.sentence}" if error else str(state))
        if state is JobState.FAILED:
            what = f"the job {job.number} ({job.kind}) failed" + (f": {error.sentence}" if error else "")
            ports.note(work, job.subject, what, verb=str(job.kind), noun="job", outcome=Outcome.FAILED)
        work.commit()
    return job


def _interrupted(ports: Ports, number: int) -> Job:
    """Still RUNNING, to be taken up again. An end that was asked for politely does not count as an attempt."""
    with ports.database.write() as work:
        job = work.jobs.one(number)
        if job.ended:
            return job
        job = replace(job, attempts=max(job.attempts - 1, 0))
        work.jobs.update(job)
        work.jobs.say(number, ports.clock.now(), "interrupted: its process ends, and the next one begins it again")
        work.commit()
    return job


def _as_said(error: LabVirtError) -> JobError:
    return JobError(code=error.code, sentence=error.sentence, hint=error.hint)


def _too_often(job: Job) -> JobError:
    return JobError(
        code="error",
        sentence=f"It was begun {job.attempts} times, and each time its process ended before it did.",
        hint=f"Look what happened (labvirt job show {job.number}, logs/engine.log), then ask for it anew.",
    )


def _mistake() -> JobError:
    return JobError(
        code="error",
        sentence="A mistake of the program (the log has it).",
        hint="Please report it with the last lines of logs/engine.log (or logs/command.log, if the command line did it).",
    )
