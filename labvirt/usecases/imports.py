# SPDX-License-Identifier: MIT
"""A file, an upload or nothing at all becomes the next version of an image.

A number is reserved with the job, so that a job that is begun again makes no second version; a job that failed or was cancelled
leaves no file of its number.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.images import StoredVersion
from labvirt.domain.image import Image, Stage, Version, version_words
from labvirt.domain.job import Job, JobKind
from labvirt.domain.names import check_name, one_line
from labvirt.domain.right import Right
from labvirt.errors import Conflict, DiskError, InvalidInput, LabVirtError, NotFound
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs
from labvirt.usecases.task import Task

_SHA256 = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_CHUNK = 4 << 20
_GIB = 1 << 30


@needs(Right.SITE, site=True)
def import_image(
    ports: Ports,
    name: str,
    source: Path,
    *,
    format: str,
    by: str,
    note: str = "",
    publish: bool = True,
    override: str = "",
    sha256: str = "",
) -> Job:
    """A job that copies the file into the store as the image's next version (the image is made if need be). Its number is reserved now: a
    job that is begun again makes no second version.

    With `publish` it is published if nothing of the image was; a class that works is not moved to a file that nobody has tried: then it
    is a draft, unless `override` is the reason (kept in the history) for publishing it all the same.

    `sha256`: of the source file; another one is refused and nothing is left. Raises InvalidInput (name, format, source, sha256),
    Conflict (the image is in the recycle bin), DatabaseError.
    """
    source = _readable(source.absolute())
    with ports.database.write() as work:
        job = _enqueue_import(
            ports,
            work,
            name,
            format=format,
            by=by,
            note=note,
            publish=publish,
            sha256=sha256,
            source=str(source),
            override=one_line(override),
        )
        work.commit()
    ports.poke()
    return job


def import_upload(
    ports: Ports, work: UnitOfWork, upload: str, name: str, *, format: str, by: str, note: str, publish: bool, sha256: str
) -> Job:
    """The same for a finished upload, in an open unit of work."""
    return _enqueue_import(ports, work, name, format=format, by=by, note=note, publish=publish, sha256=sha256, upload=upload)


@needs(Right.STORE, site=True)
def blank(
    ports: Ports, name: str, *, gib: float | None = None, bytes: int | None = None, by: str, note: str = "", publish: bool = False
) -> Job:
    """A job that makes an empty disk as the image's next version: what an operating system is installed on, in an admin session.
    Raises InvalidInput, Conflict (recycle bin), DatabaseError.
    """
    if (gib is None) == (bytes is None):
        raise InvalidInput("size", "must be given once", hint="Example: --size 20G")
    size = bytes if bytes is not None else round((gib or 0) * _GIB)
    size = -(-size // 512) * 512
    if not 1 << 20 <= size <= ports.limits.largest_disk_gib * _GIB:
        raise InvalidInput("size", f"must be 1 MiB to {ports.limits.largest_disk_gib} GiB")
    with ports.database.write() as work:
        number = _number(work, name)
        arguments = {"number": str(number), "bytes": str(size), "note": one_line(note), "publish": _word(publish)}
        job = jobs.enqueue_in(ports, work, JobKind.BLANK, name, by=by, arguments=arguments)
        work.commit()
    ports.poke()
    return job


def do_import(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of an IMPORT job. Begun again after the version's row was written it only says so; failed or cancelled it leaves nothing."""
    name, told = task.job.subject, task.job.arguments
    number, upload = int(told["number"]), told.get("upload", "")
    version = _made(ports, name, number)
    if version is None:
        with _clean(ports, name, number):
            version = _imported(ports, task, _source(ports, upload, told.get("source", "")), number)
    if upload and ports.uploads is not None:
        ports.uploads.remove(upload)
    return _result(version)


def _imported(ports: Ports, task: Task, source: Path, number: int) -> Version:
    told = task.job.arguments
    before = _identity(source)
    if told.get("sha256"):
        _compare(task, source, told["sha256"], before.st_size)
    task.step("copying and converting", total=before.st_size, unit="bytes")
    stored = ports.store.import_version(source, format=told["format"], image=task.job.subject, number=number, progress=task.progress)
    if told.get("sha256") and _differs(before, _identity(source)):
        raise InvalidInput("source", "was changed while it was read", hint="Try again when nobody writes to it.")
    return _add(ports, task, stored, number)


def do_blank(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a BLANK job. As `do_import`."""
    name, told = task.job.subject, task.job.arguments
    number = int(told["number"])
    version = _made(ports, name, number)
    if version is None:
        with _clean(ports, name, number):
            task.step("making an empty disk")
            version = _add(ports, task, ports.store.blank_version(virtual_bytes=int(told["bytes"]), image=name, number=number), number)
    return _result(version)


def _enqueue_import(
    ports: Ports, work: UnitOfWork, name: str, *, format: str, by: str, note: str, publish: bool, sha256: str, **where: str
) -> Job:
    check_name(name, "name")
    if format not in ("qcow2", "raw"):
        raise InvalidInput("format", "must be qcow2 or raw")
    wanted = check_sha256(sha256)
    number = _number(work, name)
    arguments = {"number": str(number), "format": format, "note": one_line(note), "publish": _word(publish), "sha256": wanted, **where}
    return jobs.enqueue_in(ports, work, JobKind.IMPORT, name, by=by, arguments=arguments)


def check_sha256(text: str) -> str:
    """In lower case; empty stays empty. Raises InvalidInput."""
    wanted = text.strip().lower()
    if wanted and not _SHA256.match(wanted):
        raise InvalidInput("sha256", "must be 64 hexadecimal digits")
    return wanted


def digest(source: Path, told: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file, `told(done)` after each piece. Raises DiskError, and what `told` raises."""
    sha, done = hashlib.sha256(), 0
    try:
        with source.open("rb") as file:
            while piece := file.read(_CHUNK):
                sha.update(piece)
                done += len(piece)
                if told is not None:
                    told(done)
    except OSError as error:
        raise DiskError(f"{source.name} cannot be read: {error.strerror}.", operation="read", subject=source.name) from error
    return sha.hexdigest()


def _number(work: UnitOfWork, name: str) -> int:
    """The next number of the image, which need not be there yet, reserved for good."""
    image = work.images.get(check_name(name, "name"))
    if image is not None and image.binned_at is not None:
        raise Conflict(f"The image {name} is in the recycle bin.", hint=f"Take it out first: labvirt image restore {name}")
    return work.images.next_number(name)


def _add(ports: Ports, task: Task, stored: StoredVersion, number: int) -> Version:
    """The stored file is a version of the image, published if that was wanted and may be."""
    name, told = task.job.subject, task.job.arguments
    version = Version(
        image=name,
        number=number,
        file=stored.file,
        format=stored.format,
        size_bytes=stored.size_bytes,
        virtual_bytes=stored.virtual_bytes,
        sha256=stored.sha256,
        stage=Stage.DRAFT,
        made_at=ports.clock.now(),
        note=told.get("note", ""),
        author=task.job.asked_by,
        backing=stored.backing,
        companions=stored.companions,
    )
    reason = told.get("override", "")
    with task.shield(), ports.database.write() as work:
        image = work.images.get(name)
        if image is None:
            image = Image(name=name)
            work.images.add(image)
        elif image.binned_at is not None:
            raise Conflict(f"The image {name} was deleted meanwhile.", hint=f"labvirt image restore {name}, then import again.")
        work.images.add_version(version)
        publish = told.get("publish") == "yes" and (image.published is None or reason != "")
        if publish:
            work.images.publish(name, number, expected=image.published)
        why = f", although nobody has tried it: {reason}" if publish and reason else ""
        ports.note(
            work,
            name,
            f"version {number} added{' and published' if publish else ''} by {task.job.asked_by}{why}",
            verb="import",
            noun="version",
            after={"version": number, "published": publish},
        )
        result = {**_result(version), "published": _word(publish)}
        task.done_in(work, result)
        work.commit()
    ports.poke()
    return version


@contextmanager
def _clean(ports: Ports, name: str, number: int) -> Iterator[None]:
    """When the work inside fails or was cancelled, no file of this number is left, also none of an earlier attempt: no row has it."""
    try:
        yield
    except LabVirtError:
        if _made(ports, name, number) is None:
            for entry in ports.store.entries():
                if entry.file.parent.parent.name == name and entry.file.parent.name.startswith(f"v{number}-"):
                    ports.store.remove(entry.file)
        raise


def _made(ports: Ports, name: str, number: int) -> Version | None:
    with ports.database.read() as work:
        return work.images.version(name, number)


def _result(version: Version) -> dict[str, str]:
    return {**version_words(version.image, version.number), "sha256": version.sha256}


def _source(ports: Ports, upload: str, path: str) -> Path:
    if not upload:
        return _readable(Path(path))
    if ports.uploads is None:
        raise NotFound("upload", upload)
    return ports.uploads.path(upload)


def _readable(source: Path) -> Path:
    try:
        there = source.is_file()
    except (OSError, ValueError) as error:  # a name that no file can have
        raise InvalidInput("source", f"cannot be a file: {error}") from error
    if not there:
        raise InvalidInput("source", f"{source} is not a file")
    return source


def _identity(source: Path) -> os.stat_result:
    try:
        return source.stat()
    except OSError as error:
        raise InvalidInput("source", f"{source} cannot be read: {error.strerror}") from error


def _differs(one: os.stat_result, other: os.stat_result) -> bool:
    return any(getattr(one, part) != getattr(other, part) for part in ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"))


def _compare(task: Task, source: Path, wanted: str, size: int) -> None:
    task.step("checking the file's checksum", total=size, unit="bytes")
    found = digest(source, lambda done: task.progress(done, size))
    if found != wanted:
        raise InvalidInput(
            "sha256",
            f"is {found} of this file, not {wanted}",
            hint="The file is damaged or another one: get it again. Nothing was imported.",
        )


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
