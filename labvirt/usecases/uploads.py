# SPDX-License-Identifier: MIT
"""Sending a disk file to the controller in pieces, over any number of connections, and importing it when its checksum is right."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.uploads import Upload, Uploads, Writing
from labvirt.domain.job import Job, JobKind, JobState
from labvirt.domain.names import check_name, one_line
from labvirt.domain.right import Right
from labvirt.errors import Conflict, Exhausted, HostNotReady, InUse, InvalidInput, NotFound
from labvirt.usecases import imports, jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

MOST_OPEN = 4
"""Uploads that one person may have begun and not ended."""
MOST_OPEN_IN_ALL = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadView:
    """An upload and the import that has it (None: it was not finished yet, or that import failed)."""

    upload: Upload
    job: Job | None

    @property
    def complete(self) -> bool:
        return self.upload.offset == self.upload.size_bytes


@needs(Right.STORE, site=True)
def begin(
    ports: Ports, *, name: str, format: str, size_bytes: int, sha256: str = "", note: str = "", publish: bool = True, by: str
) -> Upload:
    """An empty upload, durable: its pieces may come now. Raises InvalidInput, Conflict (too many are open; the image is in the recycle
    bin), Exhausted('disk')."""
    door = _door(ports)
    check_name(name, "name")
    if format not in ("qcow2", "raw"):
        raise InvalidInput("format", "must be qcow2 or raw")
    largest = ports.limits.largest_disk_gib << 30
    if not 1 <= size_bytes <= largest:
        raise InvalidInput("size", f"must be 1 byte to {ports.limits.largest_disk_gib} GiB")
    wanted = imports.check_sha256(sha256)
    with ports.database.read() as work:
        image = work.images.get(name)
        if image is not None and image.binned_at is not None:
            raise Conflict(f"The image {name} is in the recycle bin.", hint=f"Take it out first: labvirt image restore {name}")
        mine = [each for each in door.list() if _import_of(work, each.id) is None]
    own = [each for each in mine if each.by == by]
    if len(own) >= MOST_OPEN or len(mine) >= MOST_OPEN_IN_ALL:
        raise Conflict(
            f"There are {len(own) if len(own) >= MOST_OPEN else len(mine)} unfinished uploads already.",
            hint="Finish one of them, or give it up.",
        )
    promised = sum(each.size_bytes - each.offset for each in mine)
    if size_bytes > door.free_bytes() - promised:
        raise Exhausted("disk", f"There is no room for {size_bytes >> 20} MiB.", hint="Remove what is not needed: labvirt image gc")
    upload = Upload(
        id=secrets.token_hex(16),
        name=name,
        format=format,
        size_bytes=size_bytes,
        by=one_line(by),
        made_at=ports.clock.now(),
        sha256=wanted,
        note=one_line(note),
        publish=publish,
    )
    return door.create(upload)


@needs(Right.STORE, site=True)
def everything(ports: Ports) -> tuple[UploadView, ...]:
    """The oldest first."""
    found = _door(ports).list()
    with ports.database.read() as work:
        return tuple(UploadView(upload=each, job=_import_of(work, each.id)) for each in found)


@needs(Right.STORE, site=True)
def one(ports: Ports, id: str) -> UploadView:
    """Raises NotFound."""
    found = _door(ports).get(id)
    if found is None:
        raise NotFound("upload", id)
    with ports.database.read() as work:
        return UploadView(upload=found, job=_import_of(work, id))


@needs(Right.STORE, site=True)
def write(ports: Ports, id: str, offset: int) -> AbstractContextManager[Writing]:
    """Its next piece begins at `offset`. Raises NotFound, Conflict (that is not where it ends; somebody else writes it; it is being
    imported), DiskError."""
    if one(ports, id).job is not None:
        raise Conflict(f"The upload {id} is being imported already.", hint="Begin a new one.")
    return _door(ports).write(id, offset)


@needs(Right.STORE, site=True)
def finish(ports: Ports, id: str, *, sha256: str = "", by: str) -> Job:
    """The whole file has this checksum, and a job imports it. Asked again it is the same job, unless that has failed. Raises NotFound,
    Conflict (it is not complete), InvalidInput (no checksum, or another one: nothing is imported, the upload stays to be given up)."""
    door, found = _door(ports), one(ports, id)
    if found.job is not None:
        return found.job
    upload, wanted = found.upload, imports.check_sha256(sha256)
    if upload.sha256 and wanted and wanted != upload.sha256:
        raise InvalidInput("sha256", "is another one than was told at the beginning")
    wanted = wanted or upload.sha256
    if not wanted:
        raise InvalidInput("sha256", "must be told", hint="On your computer: sha256sum FILE")
    if not found.complete:
        raise Conflict(f"The upload {id} has {upload.offset} of its {upload.size_bytes} bytes.", hint=f"Go on at {upload.offset}.")
    with door.write(id, upload.size_bytes):  # nobody changes or removes it meanwhile
        told = imports.digest(door.path(id))
        if told != wanted:
            raise InvalidInput("sha256", f"is {told} of what arrived, not {wanted}", hint="Nothing was imported. Send the file again.")
        with ports.database.write() as work:
            job = _import_of(work, id)
            if job is None:
                job = imports.import_upload(
                    ports,
                    work,
                    id,
                    upload.name,
                    format=upload.format,
                    by=by,
                    note=upload.note,
                    publish=upload.publish,
                    sha256=wanted,
                )
                work.commit()
    ports.poke()
    return job


@needs(Right.STORE, site=True)
def give_up(ports: Ports, id: str) -> None:
    """It is gone. Absent is fine. Raises InUse (it is being sent or imported)."""
    door = _door(ports)
    if door.get(id) is None:
        return
    with ports.database.read() as work:
        job = _import_of(work, id)
        if job is not None and not job.ended:
            raise InUse("upload", id, f"the job {job.number}")
    door.remove(id)


def _import_of(work: UnitOfWork, id: str) -> Job | None:
    """The import that has it or had it, and did not fail."""
    for job in work.jobs.list(last=jobs.ALL):
        if job.kind is JobKind.IMPORT and job.arguments.get("upload") == id and job.state not in (JobState.FAILED, JobState.CANCELLED):
            return job
    return None


def _door(ports: Ports) -> Uploads:
    if ports.uploads is None:
        raise HostNotReady("This process takes no uploads.", hint="Use: labvirt serve")
    return ports.uploads
