# SPDX-License-Identifier: MIT
"""Writing a version out as one complete file, anywhere on the controller."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from labvirt.domain.image import chain_of, version_words
from labvirt.domain.job import Job, JobKind
from labvirt.domain.right import Right
from labvirt.errors import Conflict, DiskError, InvalidInput, NotFound
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs
from labvirt.usecases.task import Task

_SAID = "its sha256 is "


@needs(Right.SITE, site=True)
def export(ports: Ports, name: str, number: int | None, target: Path, *, format: str = "qcow2", compress: bool = False, by: str) -> Job:
    """A job after which `target` is a complete file with what guests see of that version (None: the published one).

    Raises NotFound, Conflict (nothing is published), InvalidInput (format, a target that exists or whose folder does not), DatabaseError.
    """
    if format not in ("qcow2", "raw"):
        raise InvalidInput("format", "must be qcow2 or raw")
    if compress and format == "raw":
        raise InvalidInput("compress", "is possible for qcow2 only")
    target = target.absolute()
    if os.path.lexists(target):
        raise InvalidInput("target", f"{target} exists already", hint="Choose another name, or remove it first.")
    if not target.parent.is_dir():
        raise InvalidInput("target", f"{target.parent} is not a folder")
    with ports.database.write() as work:
        image = work.images.one(name)
        chosen = number if number is not None else image.published
        if chosen is None:
            raise Conflict(f"The image {name} has no published version.", hint=f"Name one: labvirt version list {name}")
        if work.images.version(name, chosen) is None:
            raise NotFound("version", f"{name}:{chosen}")
        arguments = {"number": str(chosen), "target": str(target), "format": format, "compress": "yes" if compress else "no"}
        job = jobs.enqueue_in(ports, work, JobKind.EXPORT, name, by=by, arguments=arguments)
        work.commit()
    ports.poke()
    return job


def do_export(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of an EXPORT job. The file is made under a hidden name of this job and gets its own at the end, so that a job that is
    begun again knows its own work from somebody else's file.
    """
    name, told = task.job.subject, task.job.arguments
    number, target = int(told["number"]), Path(told["target"])
    hidden = target.with_name(f".{target.name}.labvirt-{task.job.number}")
    sha256 = _said(ports, task.job.number)
    try:
        if sha256 and not hidden.exists() and target.is_file():
            return _result(name, number, target, sha256)  # all was done but the last word
        if os.path.lexists(target) and not (hidden.exists() and target.samefile(hidden)):
            raise InvalidInput("target", f"{target} exists already", hint="Choose another name, or remove it first.")
        if not sha256:
            hidden.unlink(missing_ok=True)  # of an earlier attempt that did not come to its end
            with ports.database.read() as work:
                versions = work.images.versions(name)
            version = next((each for each in versions if each.number == number), None)
            if version is None:
                raise NotFound("version", f"{name}:{number}")
            task.step("writing the file", total=version.virtual_bytes, unit="bytes")
            done = ports.store.export(
                chain_of(version, versions), hidden, format=told["format"], compress=told["compress"] == "yes", progress=task.progress
            )
            sha256 = done.sha256
            task.say(f"{_SAID}{sha256}")
        with task.shield():
            _name(hidden, target)
    except OSError as error:
        raise DiskError(
            f"{target} cannot be written: {error.strerror}.", operation="export", subject=f"{name} v{number}", hint="Choose another place."
        ) from error
    return _result(name, number, target, sha256)


def _name(hidden: Path, target: Path) -> None:
    """The hidden file has its name, durably, and took nobody else's. Where no links are possible (a stick with FAT) it is renamed."""
    try:
        os.link(hidden, target, follow_symlinks=False)
    except FileExistsError:
        if not target.samefile(hidden):
            raise InvalidInput("target", f"{target} exists already", hint="Choose another name, or remove it first.") from None
    except OSError:
        if os.path.lexists(target):
            raise
        hidden.rename(target)
    hidden.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _said(ports: Ports, number: int) -> str:
    """The checksum that an earlier attempt of this job had come to."""
    with ports.database.read() as work:
        lines = [line for _, line in work.jobs.lines(number) if line.startswith(_SAID)]
    return lines[-1].removeprefix(_SAID) if lines else ""


def _result(name: str, number: int, target: Path, sha256: str) -> dict[str, str]:
    return {**version_words(name, number), "target": str(target), "size_bytes": str(target.stat().st_size), "sha256": sha256}
