# SPDX-License-Identifier: MIT
"""How a job is shown while it goes on: a bar on a terminal, a plain line now and then elsewhere, nothing with --json."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from labvirt.cli import errors
from labvirt.cli.amounts import duration, size
from labvirt.cli.session import Session
from labvirt.domain.job import Job, JobState
from labvirt.usecases.ports import Ports

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

PLAIN_SECONDS = 10.0
"""A line so often where there is no terminal."""
QUIET_SECONDS = 1.0

Told = Callable[[Job], None]


def title(job: Job) -> str:
    """'publish tiny.d5 (job 12)'."""
    return f"{job.kind} {job.subject} (job {job.number})"


def step(job: Job) -> str:
    """What is being done now."""
    return job.step or ("waits for its turn" if job.state is JobState.QUEUED else "begins")


def amounts(job: Job, now: datetime) -> str:
    """'120 MiB of 500 MiB, 35 MiB/s, 11 s left': as much of it as is known."""
    if not job.total or not job.unit:
        return ""
    if job.unit == "bytes":
        told = f"{size(job.done)} of {size(job.total)}"
    elif job.unit == "seconds":
        return f"{job.done} of {job.total} s"
    else:
        told = f"{job.done} of {job.total}"
    rate, left = job.rate(now), job.seconds_left(now)
    if rate is not None and job.unit == "bytes":
        told += f", {size(rate)}/s"
    if left is not None and job.done < job.total:
        told += f", {duration(left)} left"
    return told


def telling(session: Session, ports: Ports) -> AbstractContextManager[Told]:
    if session.as_json:
        return _silent()
    if sys.stderr.isatty():
        from rich.console import Console

        console = Console(stderr=True, highlight=False, markup=False)
        if not console.is_dumb_terminal:
            return _bar(ports, console)
    return _lines(ports)


@contextmanager
def _silent() -> Iterator[Told]:
    yield lambda job: None


@contextmanager
def _lines(ports: Ports) -> Iterator[Told]:
    """Each new step is a line, and a long one is a line now and then. A short wait at the beginning is not worth one."""
    began = ports.clock.monotonic()
    last: tuple[str, float] | None = None

    def told(job: Job) -> None:
        nonlocal last
        now = ports.clock.monotonic()
        soon = not job.step and now - began < QUIET_SECONDS
        if job.ended or soon or (last is not None and last[0] == step(job) and now - last[1] < PLAIN_SECONDS):
            return
        said = (title(job), step(job), amounts(job, ports.clock.now()) if job.done else "")
        click.echo(errors.harmless(": ".join(part for part in said if part)), err=True)
        last = (step(job), now)

    yield told


@contextmanager
def _bar(ports: Ports, console: Any) -> Iterator[Told]:
    """Steps that are over stay as lines, the present one is a bar."""
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    bar: Progress = Progress(
        TextColumn("  {task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"), markup=False),
        BarColumn(bar_width=10),
        _amounts_column(ports),
        console=console,
        expand=True,
        transient=True,
    )
    shown: Job | None = None
    task: TaskID | None = None

    def told(job: Job) -> None:
        nonlocal shown, task
        if shown is None:
            bar.print(errors.harmless(title(job)))
        before, shown = shown, job
        if task is not None and before is not None and (job.ended or step(before) != step(job)):
            if before.step:
                bar.print("  " + errors.harmless(_passed(before, job)))
            bar.remove_task(task)
            task = None
        if job.ended:
            return
        if task is None:
            task = bar.add_task(errors.harmless(step(job)), total=None, since=job.step_since, amounts="")
        elif before is not None and before.done == job.done:
            return  # the pace is that of the last news: it does not fall while none comes
        told_now = amounts(job, ports.clock.now())
        bar.update(task, completed=job.done, total=job.total or None, amounts=told_now)

    with bar:
        yield told


def _passed(before: Job, after: Job) -> str:
    """A step that is over: 'seal the draft: 3 s, 50 MiB'."""
    ended = after.ended_at if after.ended else after.step_since
    took = duration((ended - before.step_since).total_seconds()) if ended and before.step_since else ""
    much = size(before.total) if before.unit == "bytes" and before.total and after.state is not JobState.FAILED else ""
    told = ", ".join(part for part in (took, much) if part)
    return f"{before.step}: {told}" if told else before.step


def _amounts_column(ports: Ports) -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class Amounts(ProgressColumn):
        """The seconds of a step that has nothing to count go on by themselves."""

        def render(self, task: Any) -> Text:
            since: datetime | None = task.fields["since"]
            waited = duration((ports.clock.now() - since).total_seconds()) if since else ""
            return Text(task.fields["amounts"] or waited, no_wrap=True)

    return Amounts(table_column=Column(no_wrap=True))
