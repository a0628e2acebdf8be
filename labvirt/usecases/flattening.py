# SPDX-License-Identifier: MIT
"""Flattening: a version that stands on other files gets one that is complete by itself, so that chains stay short and the files below
may go one day. What guests see of it stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.image import Version, chain_of, version_words
from labvirt.domain.job import Job, JobKind
from labvirt.errors import ImageDamaged, NotFound
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task


def wanted(ports: Ports, work: UnitOfWork, version: Version, *, by: str) -> Job:
    """A FLATTEN job for it, in this unit of work: the one that is not ended yet, or a new one."""
    for job in work.jobs.list(unended=True, last=jobs.ALL):
        if job.kind is JobKind.FLATTEN and job.subject == version.label:
            return job
    arguments = {"image": version.image, "number": str(version.number)}
    return jobs.enqueue_in(ports, work, JobKind.FLATTEN, version.label, by=by, arguments=arguments)


def deep(ports: Ports, work: UnitOfWork) -> tuple[Version, ...]:
    """Versions that stand on more files than the setting `layers` allows and that something may still start from: the published one and
    pinned ones. A chain with a missing file is not among them: `image check` says that."""
    pins = {(slot.image, slot.version) for profile in work.profiles.list() for slot in profile.slots if slot.version is not None}
    found = []
    for image in work.images.list():
        if image.binned_at is not None:
            continue
        versions = work.images.versions(image.name)
        for version in versions:
            if version.number != image.published and (image.name, version.number) not in pins:
                continue
            try:
                depth = len(chain_of(version, versions))
            except ImageDamaged:
                continue
            if depth > ports.limits.layers:
                found.append(version)
    return tuple(found)


def do_flatten(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a FLATTEN job: a second folder for the same version, then one transaction that swaps it in if the version still has
    the file that was flattened. Begun again it makes the same folder again, or finds that all is done."""
    name, number = task.job.arguments["image"], int(task.job.arguments["number"])
    with ports.database.read() as work:
        versions = work.images.versions(name)
    version = next((each for each in versions if each.number == number), None)
    if version is None:
        raise NotFound("version", f"{name}:{number}")
    if version.backing is None:
        return {**version_words(name, number), "sha256": version.sha256, "changed": "no"}
    task.step("writing a complete file", total=version.virtual_bytes, unit="bytes")
    stored = ports.store.flatten(chain_of(version, versions), progress=task.progress)
    with task.shield(), ports.database.write() as work:
        now = work.images.version(name, number)
        swapped = now is not None and now.file == version.file and now.backing is not None
        if now is not None and swapped:
            work.images.update_version(
                replace(
                    now,
                    file=stored.file,
                    format=stored.format,
                    size_bytes=stored.size_bytes,
                    virtual_bytes=stored.virtual_bytes,
                    sha256=stored.sha256,
                    backing=None,
                    companions=stored.companions,
                )
            )
            ports.note(work, name, f"version {number} is complete by itself now", verb="flatten", noun="version")
            work.commit()
    return {**version_words(name, number), "sha256": stored.sha256, "changed": "yes" if swapped else "no"}
