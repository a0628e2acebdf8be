# SPDX-License-Identifier: MIT
"""Garbage collection in two phases, and who needs what.

Phase one writes down since when a file has no owner. Phase two, after the grace, looks at the real headers of all files and takes what
nobody stands on. A row goes before its file: whoever is killed between leaves a file without an owner, never a row without a file,
and the mark that was written with the row's end says that it may go at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.dependencies import Dependent, dependents_of
from labvirt.domain.job import Job, JobKind
from labvirt.domain.right import Right
from labvirt.domain.rubbish import Rubbish, RubbishKind
from labvirt.errors import DiskError, InUse, NotFound
from labvirt.usecases import audit, catalogue, emptying, flattening, jobs, people, scrubbing
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs
from labvirt.usecases.rubbish import ORPHANS, Look, look, rubbish_of
from labvirt.usecases.task import Task

SUBJECT = "recycle bin"


@needs(Right.LOOK, image="image")
def dependents(ports: Ports, image: str, number: int | None = None) -> tuple[Dependent, ...]:
    """Who needs this version (None: any version of the image), from rows and from the real headers of all files. Raises NotFound, DiskError
    (a header cannot be read)."""
    references, kept = ports.store.references(), ports.kept.list()
    with ports.database.read() as work:
        found = work.images.one(image)
        if number is not None and work.images.version(image, number) is None:
            raise NotFound("version", f"{image}:{number}")
        return dependents_of(catalogue.everybody(work, found, kept, references), number)


@needs(Right.SITE, site=True)
def plan(ports: Ports) -> tuple[Rubbish, ...]:
    """Everything that nobody needs, when each goes, and what it waits for; the soonest first. Changes nothing. Raises DatabaseError,
    DiskError."""
    seen = look(ports)
    with ports.database.read() as work:
        return rubbish_of(ports, work, seen, _orphans(work))


@needs(Right.SITE, site=True)
def collect(ports: Ports, *, by: str, dry_run: bool = False) -> Job:
    """A job that takes what is due (`dry_run`: only says it). One that waits or runs already is given back. Raises MustConfirm (not
    for `dry_run`)."""
    if not dry_run:
        people.lately(ports)
    with ports.database.write() as work:
        for job in work.jobs.list(unended=True, last=jobs.ALL):
            if job.kind is JobKind.GARBAGE and (job.arguments.get("dry_run") == "yes") == dry_run:
                return job
        job = jobs.enqueue_in(ports, work, JobKind.GARBAGE, SUBJECT, by=by, arguments={"dry_run": "yes" if dry_run else "no"})
        work.commit()
    ports.poke()
    return job


def do_garbage(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a GARBAGE job. Every single thing is taken in an order that may be cut anywhere; begun again it takes the rest."""
    if task.job.arguments.get("dry_run") == "yes":
        return _said(ports, task, plan(ports))
    task.step("marking what has no owner")
    try:
        ports.store.tidy()
    except DiskError as error:  # the next collection does it; a full disk must not keep this one from making room
        task.say(f"what half-made work left behind stays: {error}")
    _mark(ports, look(ports))
    removed = freed = 0
    refused: set[tuple[RubbishKind, str]] = set()
    while True:  # what stood on something that went may go in the next round
        task.step("taking what nobody needs" + (f" ({removed} so far)" if removed else ""))
        found, now = plan(ports), ports.clock.now()  # in this order: what goes for lack of space goes "now"
        due = [each for each in found if each.is_due(now) and (each.kind, each.name) not in refused]
        if not due:
            break
        for each in due:
            try:
                gone = emptying.take(ports, each)
            except (InUse, DiskError) as error:
                task.say(f"{each.kind} {each.name} stays: {error}")
                gone = False
            if gone:
                task.say(f"{each.kind} {each.name} is gone")
                removed, freed = removed + 1, freed + each.used_bytes
                refused.clear()  # it may have been what kept them
            else:
                refused.add((each.kind, each.name))
            task.progress(removed, 0)
    if cut := audit.cut(ports, ports.limits.audit_days):
        task.say(f"{cut} entries of the audit were cut off for their age")
    with task.shield():
        _mark(ports, look(ports))
        _follow_up(ports, task)
    waiting = [each for each in plan(ports) if each.waits_for]
    return {"removed": str(removed), "bytes": str(freed), "waiting": str(len(waiting))}


def _said(ports: Ports, task: Task, found: tuple[Rubbish, ...]) -> dict[str, str]:
    now = ports.clock.now()
    for each in found:
        when = f"waits for {each.waits_for}" if each.waits_for else "goes now" if each.is_due(now) else f"goes at {each.goes_at:%F %T}"
        task.say(f"{each.kind} {each.name}: {when}")
    due = [each for each in found if each.is_due(now)]
    return {"would_remove": str(len(due)), "bytes": str(sum(each.used_bytes for each in due)), "waiting": str(len(found) - len(due))}


def _mark(ports: Ports, seen: Look) -> None:
    """Phase one: every file without an owner has the time when it was first seen so; files that are gone have none."""
    now = ports.clock.now()
    with ports.database.write() as work:
        old = _orphans(work)
        new = {name: old.get(name, now) for name in seen.unowned(work)}
        if new != old:
            _put_orphans(work, new)
            work.commit()


def _orphans(work: UnitOfWork) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(at) for name, at in json.loads(work.facts.get(ORPHANS) or "{}").items()}


def _put_orphans(work: UnitOfWork, marks: Mapping[str, datetime]) -> None:
    work.facts.put(ORPHANS, json.dumps({name: at.astimezone(UTC).isoformat() for name, at in sorted(marks.items())}))


def _follow_up(ports: Ports, task: Task) -> None:
    """The other works of the house that have no person: chains that are too deep, bytes that were not read for long, old jobs."""
    with ports.database.write() as work:
        for version in flattening.deep(ports, work):
            task.say(f"{version.label} stands on too many files: it will be flattened", work)
            flattening.wanted(ports, work, version, by=task.job.asked_by)
        if scrubbing.due(ports, work):
            scrubbing.wanted(ports, work, by=task.job.asked_by)
        work.jobs.trim(jobs.KEPT)
        work.commit()
    ports.poke()
