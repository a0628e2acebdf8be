# SPDX-License-Identifier: MIT
"""labvirt job ..."""

from __future__ import annotations

from datetime import datetime

import click

from labvirt import shapes
from labvirt.cli import bar, progress, words
from labvirt.cli.amounts import duration, moment
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.job import Job, JobError, JobState
from labvirt.usecases import jobs

LAST = 50


@click.group(cls=Noun)
def job() -> None:
    """Long work: imports, publishes, canaries. It goes on when its command or the controller ends; N is its number."""


_KNOWN = {"sha256", "number", "image", "draft"}
"""Parts of a result that a list need not tell."""


def _now(each: Job, now: datetime) -> str:
    """What it does, or how it ended."""
    if failure := _failure(each):
        return failure.sentence
    if each.ended:
        return ", ".join(f"{key} {value}" for key, value in sorted(each.result.items()) if key not in _KNOWN)
    asked = "is to be cancelled" if each.cancel else ""
    return ", ".join(part for part in (bar.step(each), bar.amounts(each, now), asked) if part)


def _failure(each: Job) -> JobError | None:
    """A cancelled job is no failure."""
    return each.error if each.state is JobState.FAILED else None


def _took(each: Job, now: datetime) -> str:
    return duration(((each.ended_at or now) - (each.started_at or each.asked_at)).total_seconds())


def lines(each: Job, now: datetime) -> list[str]:
    """A job for people."""
    return [
        f"job {each.number}: {each.kind} {each.subject}, {each.state}",
        f"  asked by {each.asked_by} at {moment(each.asked_at)}"
        + (f", begun {moment(each.started_at)}" if each.started_at else "")
        + (f" ({each.attempts} times)" if each.attempts > 1 else "")
        + (f", ended {moment(each.ended_at)} after {_took(each, now)}" if each.ended_at else ""),
        *(f"  {key}: {value}" for key, value in sorted(each.arguments.items()) if value),
        *([] if each.ended else [f"  now: {_now(each, now)}"]),
        *([f"  failed: {failure.sentence}", *([f"  {failure.hint}"] if failure.hint else [])] if (failure := _failure(each)) else []),
        *(f"  made: {key} {value}" for key, value in sorted(each.result.items())),
    ]


@job.command("list")
@click.option("--all", "also_ended", is_flag=True, help=f"Also those that have ended: the last {LAST}.")
@pass_session
def list_jobs(session: Session, /, also_ended: bool) -> None:
    """Jobs that wait or run, the newest first."""
    with session.ports() as ports:
        found = jobs.everything(ports, unended=not also_ended, last=LAST)
        now = ports.clock.now()
    session.table(
        [shapes.job(each, now) for each in found],
        ("JOB", "KIND", "SUBJECT", "STATE", "NOW", "SINCE", "BY"),
        ((j.number, j.kind, j.subject, j.state, _now(j, now), moment(j.ended_at or j.started_at or j.asked_at), j.asked_by) for j in found),
        empty="There was never a job." if also_ended else "No job waits or runs. Those that have ended: labvirt job list --all",
    )


@job.command("show")
@click.argument("number", type=words.NUMBER)
@pass_session
def show_job(session: Session, /, number: int) -> None:
    """Show one job with its log. Step, progress, what it made or why it failed."""
    with session.ports() as ports:
        found, log, now = jobs.one(ports, number), jobs.lines(ports, number), ports.clock.now()
    session.show(
        shapes.job(found, now) | {"log": [{"at": shapes.plain(at), "line": line} for at, line in log]},
        [*lines(found, now), *(f"  {moment(at)} {line}" for at, line in log)],
    )


@job.command("cancel")
@click.argument("number", type=words.NUMBER)
@pass_session
def cancel_job(session: Session, /, number: int) -> None:
    """Ask it to end. It looks at that between its steps and within long ones; nothing half made stays."""
    with session.ports() as ports:
        asked = jobs.cancel(ports, number, by=session.who)
        now = ports.clock.now()
    told = f"The job {number} is {asked.state}." if asked.ended else f"The job {number} is asked to end: labvirt job show {number}"
    session.show(shapes.job(asked, now), [told])


@job.command("wait")
@click.argument("number", type=words.NUMBER)
@pass_session
def wait_job(session: Session, /, number: int) -> None:
    """Show its progress until it ends, and end as it does. While no engine answers, it is done here."""
    with session.ports() as ports:
        found = jobs.one(ports, number)
        if found.state is not JobState.DONE:
            found = progress.follow(session, ports, found)
        now = ports.clock.now()
    session.show(shapes.job(found, now), lines(found, now))
