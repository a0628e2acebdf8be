# SPDX-License-Identifier: MIT
"""The controller in one file: asked for as a job, written while everything runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from labvirt.contracts.archive import Archives, BackupFacts, ImageFile
from labvirt.contracts.database import UnitOfWork
from labvirt.domain.job import Job, JobKind
from labvirt.domain.right import Right
from labvirt.errors import InvalidInput, Unsupported
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs
from labvirt.usecases.setup import SITE_FACT
from labvirt.usecases.task import Task

SUBJECT = "controller"


@needs(Right.SITE, site=True)
def backup(ports: Ports, target: Path, *, with_images: bool = False, by: str) -> Job:
    """A job after which `target` is a backup (0600). Raises InvalidInput (a target that exists, or a folder that does not),
    DatabaseError."""
    target = target.absolute()
    if os.path.lexists(target):
        raise InvalidInput("file", f"{target} exists already", hint="Choose another name; nothing is overwritten.")
    if not target.parent.is_dir():
        raise InvalidInput("file", f"there is no folder {target.parent}", hint="Make it first, or choose another one.")
    arguments = {"target": str(target), "with_images": "yes" if with_images else "no"}
    with ports.database.write() as work:
        job = jobs.enqueue_in(ports, work, JobKind.BACKUP, SUBJECT, by=by, arguments=arguments)
        ports.note(work, SUBJECT, f"a backup into {target} was asked for", verb="backup", noun="site", after={"with_images": with_images})
        work.commit()
    ports.poke()
    return job


def do_backup(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a BACKUP job. Begun again it knows its own finished file by what is written in it."""
    archives, target = _archives(ports), Path(task.job.arguments["target"])
    with_images = task.job.arguments["with_images"] == "yes"
    with ports.database.read() as work:
        made_by = f"{work.facts.get(SITE_FACT) or 'labvirt'} job {task.job.number}"
    task.step("writing the backup", unit="bytes")
    if task.job.attempts > 1 and target.is_file() and (found := archives.facts(target)).made_by == made_by:
        return _result(target, found)
    with ports.database.read() as work:
        facts = BackupFacts(made_at=ports.clock.now(), made_by=made_by, labvirt=ports.version, images=_images(work), drafts=_drafts(work))
    written = archives.write(target, facts, ports.database.copy, with_images=with_images, progress=task.progress)
    return _result(target, written.facts)


def _images(work: UnitOfWork) -> tuple[ImageFile, ...]:
    return tuple(
        ImageFile(image=image.name, number=each.number, file=each.file, size_bytes=each.size_bytes, sha256=each.sha256)
        for image in work.images.list()
        for each in work.images.versions(image.name)
    )


def _drafts(work: UnitOfWork) -> tuple[str, ...]:
    return tuple(draft.name for draft in work.drafts.list() if draft.alive)


def _result(target: Path, facts: BackupFacts) -> dict[str, str]:
    without = sum(not each.included for each in facts.images)
    return {
        "target": str(target),
        "size_bytes": str(target.stat().st_size),
        "images": str(len(facts.images)),
        "images_without_file": str(without),
    }


def _archives(ports: Ports) -> Archives:
    if ports.archives is None:
        raise Unsupported("a backup", "this process")
    return ports.archives
