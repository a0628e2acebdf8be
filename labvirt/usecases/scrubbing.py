# SPDX-License-Identifier: MIT
"""Scrubbing: every byte of every version is read and compared with its checksum, so that decay is found before a class meets it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.audit import Outcome
from labvirt.domain.image import Version
from labvirt.domain.job import Job, JobKind
from labvirt.domain.right import Right
from labvirt.errors import ImageDamaged
from labvirt.usecases import jobs
from labvirt.usecases.catalogue import damage_fact
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs
from labvirt.usecases.task import Task

EVERYTHING = "all images"
_LAST = "scrubbed-at"


@needs(Right.STORE, image="image")
def scrub(ports: Ports, image: str | None = None, *, by: str) -> Job:
    """A job that reads all versions of the image (None: of all images) and fails with the names of those that are damaged; such a version
    is not started from any more (contracts.images: `proven`) and not published. Raises NotFound."""
    with ports.database.write() as work:
        if image is not None:
            work.images.one(image)
        job = _enqueue(ports, work, image, by=by)
        work.commit()
    ports.poke()
    return job


def due(ports: Ports, work: UnitOfWork) -> bool:
    """Has nobody read everything for longer than the setting `scrub_days`, and is nobody about to?"""
    if not ports.limits.scrub_days or not work.images.list():
        return False
    if any(job.kind is JobKind.SCRUB for job in work.jobs.list(unended=True, last=jobs.ALL)):
        return False
    last = work.facts.get(_LAST)
    return last is None or ports.clock.now() - datetime.fromisoformat(last) > timedelta(days=ports.limits.scrub_days)


def wanted(ports: Ports, work: UnitOfWork, *, by: str) -> Job:
    """A job for everything, in this unit of work."""
    return _enqueue(ports, work, None, by=by)


def do_scrub(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a SCRUB job. What it finds about each version is kept at once; begun again it reads all once more."""
    image = task.job.arguments.get("image") or None
    with ports.database.read() as work:
        names = [image] if image else [each.name for each in work.images.list()]
        versions = [version for name in names for version in work.images.versions(name)]
    total = sum(version.size_bytes for version in versions)
    task.step(f"reading {len(versions)} version{'' if len(versions) == 1 else 's'}", total=total, unit="bytes")
    read = 0
    damaged: list[str] = []
    for version in versions:
        before = read
        finding = ports.store.scrub(version, lambda done, _total, before=before: task.progress(before + done, total))  # type: ignore[misc]
        read += version.size_bytes
        if _remember(ports, version, finding.sentence if finding else "") and finding is not None:
            task.say(finding.sentence)
            damaged.append(version.label)
    with ports.database.write() as work:
        if image is None:
            work.facts.put(_LAST, ports.clock.now().isoformat())
            work.commit()
    if damaged:
        raise ImageDamaged(
            f"{', '.join(damaged)} {'is' if len(damaged) == 1 else 'are'} damaged: the file is not what it was.",
            operation="scrub",
            subject=damaged[0],
            hint="Publish another version (labvirt version publish IMAGE NUMBER), then delete the damaged one.",
        )
    return {"versions": str(len(versions)), "bytes": str(read)}


def _enqueue(ports: Ports, work: UnitOfWork, image: str | None, *, by: str) -> Job:
    subject = image or EVERYTHING
    for job in work.jobs.list(unended=True, last=jobs.ALL):
        if job.kind is JobKind.SCRUB and job.subject == subject:
            return job
    return jobs.enqueue_in(ports, work, JobKind.SCRUB, subject, by=by, arguments={"image": image or ""})


def _remember(ports: Ports, version: Version, damage: str) -> bool:
    """What was found is kept as a fact; says whether the version is still there (one that was deleted meanwhile harms nobody)."""
    fact = damage_fact(version.image, version.number)
    with ports.database.write() as work:
        now = work.images.version(version.image, version.number)
        if now is None or now.file != version.file:
            return False
        known = work.facts.get(fact)
        if damage and known != damage:
            work.facts.put(fact, damage)
            ports.note(
                work,
                version.image,
                f"version {version.number} was found damaged: {damage}",
                verb="scrub",
                noun="version",
                outcome=Outcome.FAILED,
            )
            work.commit()
        elif not damage and known is not None:
            work.facts.remove(fact)
            work.commit()
    return True
