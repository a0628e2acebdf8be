# SPDX-License-Identifier: MIT
"""/jobs: long work. What begins it answers 202 with the job, and its address in Location."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.domain.job import Job, JobState
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Answered, Number, Shape, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("jobs", "Long work: it goes on when its client or the controller ends.")

JOB = Shape(
    shape(Job, name="JobTold", ended=bool, rate=float | None, seconds_left=float | None).model,
    lambda ports, each: shapes.job(each, ports.clock.now()),
)
MOST = 1_000_000
"""All that are kept: the database bounds them."""


class Line(Answered):
    """One line of its log."""

    at: datetime
    line: str


LINES = Many(
    Shape(Line, lambda ports, each: {"at": shapes.plain(each[1][0]), "line": each[1][1]}),
    key=lambda each: each[0],
)


class Wanted(Paged):
    """Which jobs."""

    ended: Annotated[bool | None, Field(description="true: only those that have ended; false: only those that have not.")] = None
    kind: Annotated[str, Field(max_length=40, description="Only of this kind.")] = ""
    state: Annotated[JobState | None, Field(description="Only in this state.")] = None


@noun.get("/jobs", Many(JOB, key=lambda each: each.number, newest_first=True), cli="job list")
def list_(ports: Ports, asked: Wanted) -> list[Job]:
    """Jobs, the newest first."""
    found = jobs.everything(ports, unended=asked.ended is False, last=MOST)
    return [
        each for each in found if asked.ended in (None, each.ended) and asked.kind in ("", each.kind) and asked.state in (None, each.state)
    ]


@noun.get("/jobs/{number}", JOB, cli=("job show", "job wait"), tagged=False)
def show(ports: Ports, number: Number) -> Job:
    """One job: step, progress, what it made or why it failed. Ask again until `ended`."""
    return jobs.one(ports, number)


@noun.get("/jobs/{number}/lines", LINES, cli="job show")
def lines(ports: Ports, number: Number, asked: Paged) -> list[tuple[int, tuple[datetime, str]]]:
    """Its log."""
    return list(enumerate(jobs.lines(ports, number)))


@noun.post("/jobs/{number}/cancel", JOB, cli="job cancel")
def cancel(ports: Ports, number: Number) -> Job:
    """Ask it to end. It looks at that between its steps and within long ones; nothing half made stays."""
    return jobs.cancel(ports, number, by=ports.caller.name)
