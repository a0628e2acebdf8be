# SPDX-License-Identifier: MIT
"""Waiting for a job: it is done by the engine if that answers, else by this process, in a thread. Ctrl-C leaves: it never ends a job.

How it looks meanwhile is in bar.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from labvirt import shapes
from labvirt.cli import bar, errors
from labvirt.cli.session import Session
from labvirt.domain.job import Job, JobState
from labvirt.errors import EngineAway, LabVirtError
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports

if TYPE_CHECKING:
    pass

PAUSE_SECONDS = 0.2

Said = Callable[[Job], list[str]]
"""What a finished job is worth saying."""


def follow(session: Session, ports: Ports, job: Job) -> Job:
    """The job, when it is done. One that failed or was cancelled ends the command with its sentence and its error's exit code;
    Ctrl-C ends the command and says where the job is to be found.
    """
    log = session.state / "logs" / "command.log"
    here = False
    with errors.logged(log), _Doer(ports, job.number) as doer, bar.telling(session, ports) as told:
        try:
            while True:
                job = jobs.one(ports, job.number)
                told(job)
                if job.ended:
                    break
                doer.pause(PAUSE_SECONDS)
        except KeyboardInterrupt:
            here = doer.is_busy
            job = jobs.one(ports, job.number)
    if job.state is JobState.DONE:
        return job
    if not job.ended:
        _left(session, job, here=here)
        raise click.exceptions.Exit(errors.INTERRUPTED)
    raise click.exceptions.Exit(errors.report_job(job, as_json=session.as_json))


def carry(session: Session, ports: Ports, job: Job, *, detach: bool, said: Said) -> Job:
    """The end of a long command: it waits for the job and shows it with what `said` makes of it, or (`detach`) shows it as it is.
    The job as it was shown.
    """
    if not detach:
        job = follow(session, ports, job)
    session.show(shapes.job(job, ports.clock.now()), said(job) if job.state is JobState.DONE else begun(job))
    return job


def detach_option(command: Any) -> Any:
    """Of every long command."""
    return click.option("--detach", is_flag=True, help="Do not wait: the engine does it, and `labvirt job` shows it.")(command)


def begun(job: Job) -> list[str]:
    """For a job that goes on without this command."""
    return [f"The job {job.number} is {job.state}: {job.kind} {job.subject}.", f"Wait for it: labvirt job wait {job.number}"]


def _left(session: Session, job: Job, *, here: bool) -> None:
    number = job.number
    told = [
        f"The job {number} stops here, and nothing is lost." if here else f"The job {number} goes on without you.",
        f"Go on with it: labvirt serve, or labvirt job wait {number}" if here else f"Look at it: labvirt job show {number}",
        f"End it: labvirt job cancel {number}",
    ]
    click.echo("\n".join(["", *told]), err=True)


class _Doer:
    """Does the job in a thread of this process while no engine answers; also when the engine goes away in the middle, unless it comes
    back soon: most jobs need one for something, and `labvirt serve` starts a fallen engine again."""

    LOOK_SECONDS = 1.0
    BACK_SECONDS = 20.0

    def __init__(self, ports: Ports, number: int) -> None:
        self._ports = ports
        self._number = number
        self._leave = threading.Event()
        self._news = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._go, name=f"job-{number}", daemon=True)
        self.is_busy = False

    def __enter__(self) -> _Doer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave.set()
        self._thread.join()

    def pause(self, seconds: float) -> None:
        """So long, or until the job was ended here. Raises what kept this process from doing it."""
        self._news.wait(seconds)
        if self._problem is not None:
            raise self._problem

    def _go(self) -> None:
        clock, seen = self._ports.clock, float("-inf")
        try:
            while not self._leave.is_set():
                if not self._engine_is_away():
                    seen = clock.monotonic()
                elif clock.monotonic() - seen >= self.BACK_SECONDS:
                    self.is_busy = True
                    done = jobs.run(self._ports, self._number, stopping=self._leave.is_set)
                    self.is_busy = False
                    if done is not None and done.ended:
                        self._news.set()
                        return
                self._leave.wait(self.LOOK_SECONDS)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._problem = error
            self._news.set()

    def _engine_is_away(self) -> bool:
        try:
            self._ports.engine.status()
        except EngineAway:
            return True
        except LabVirtError:
            return False
        return False
