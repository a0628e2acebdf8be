# SPDX-License-Identifier: MIT
"""Jobs and the lines of their logs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select

from labvirt.database import statements, tables
from labvirt.database.mapping.job import job_of, job_row
from labvirt.database.mapping.row import time_of, time_text
from labvirt.database.store import Store
from labvirt.domain.job import ENDED, Job
from labvirt.errors import NotFound

LINES_KEPT = 1000
"""Of each job: the newest."""

_jobs = tables.jobs.c
_lines = tables.job_lines.c
_OVER = tuple(sorted(str(state) for state in ENDED))


class JobRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, job: Job) -> Job:
        number = self._store.add(tables.jobs, job_row(job))
        return self.one(number)

    def one(self, number: int) -> Job:
        found = self._store.find(tables.jobs, number=number)
        if not found:
            raise NotFound("job", str(number))
        return self._store.read(job_of, found[0])

    def list(self, *, unended: bool = False, last: int = 50) -> tuple[Job, ...]:
        query = select(tables.jobs).order_by(_jobs.number.desc()).limit(last)
        if unended:
            query = query.where(_jobs.state.not_in(_OVER))
        return tuple(self._store.read(job_of, row) for row in self._store.rows(query))

    def update(self, job: Job) -> None:
        row = {"number": job.number, **job_row(job)}
        statement = statements.changing(tables.jobs, tuple(row))
        if self._store.write(tables.jobs, statement, statements.with_old(tables.jobs, row)) == 0:
            raise NotFound("job", str(job.number))

    def say(self, number: int, at: datetime, line: str) -> None:
        """Raises NotFound when there is no such job."""
        last = self._store.scalar(select(func.max(_lines.number)).where(_lines.job == number)) or 0
        row = {"job": number, "number": last + 1, "at": time_text(at), "line": line}
        self._store.write(tables.job_lines, statements.adding(tables.job_lines, tuple(row)), row)
        if last >= LINES_KEPT:
            self._store.change(delete(tables.job_lines).where(_lines.job == number, _lines.number <= last + 1 - LINES_KEPT))

    def lines(self, number: int) -> tuple[tuple[datetime, str], ...]:
        """In order; none for a job that does not exist."""
        return tuple((time_of(row["at"]), str(row["line"])) for row in self._store.find(tables.job_lines, job=number))

    def trim(self, keep: int) -> None:
        oldest_kept = select(_jobs.number).where(_jobs.state.in_(_OVER)).order_by(_jobs.number.desc()).limit(keep)
        self._store.change(delete(tables.jobs).where(_jobs.state.in_(_OVER), _jobs.number.not_in(oldest_kept)))
