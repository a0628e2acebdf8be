# SPDX-License-Identifier: MIT
"""Oops: what a guest had written is kept for a while after its run. It is listed, started once more, or read file by file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.offline import OfflineEntry
from labvirt.domain.guest import Guest, Purpose, RunId
from labvirt.domain.job import Job, JobKind
from labvirt.domain.kept import Kept
from labvirt.domain.right import Right
from labvirt.errors import Conflict, InUse, InvalidInput, NotFound
from labvirt.usecases import jobs, specials, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible
from labvirt.usecases.rubbish import is_rescuing, user_of_kept
from labvirt.usecases.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptView:
    """One run's kept overlays. `goes_at`: not later than then (sooner when the space is needed); `guest`: the one that was started from
    it and is not over."""

    kept: Kept
    goes_at: datetime
    guest: str | None

    @property
    def run(self) -> RunId:
        return self.kept.run


@needs(Right.LOOK, each=True, guest="guest")
def everything(ports: Ports, *, guest: str | None = None) -> tuple[KeptView, ...]:
    """The newest first; `guest`: only of this guest or terminal. Raises DiskError, DatabaseError."""
    found = ports.kept.list()
    with ports.database.read() as work:
        rescuing = {each.source: each.name for each in work.guests.list() if is_rescuing(each)}
        found = visible(ports, found, lambda kept: whose.kept(work, str(kept.run)))
    hours = timedelta(hours=ports.limits.rescue_hours)
    return tuple(
        KeptView(kept=each, goes_at=each.ended_at + hours, guest=rescuing.get(str(each.run)))
        for each in found
        if guest is None or guest in (each.run.guest, each.terminal)
    )


@needs(Right.LOOK, kept="run")
def one(ports: Ports, run: str) -> KeptView:
    """By the run ('lab-a-07.g3'), or by the guest or terminal whose last one is meant. Raises NotFound."""
    for each in everything(ports):
        if run in (str(each.run), each.run.guest, each.kept.terminal):
            return each
    raise NotFound("run in the rescue", run)


@needs(Right.UPDATE, kept="run")
def start(ports: Ports, run: str, *, by: str) -> Guest:
    """A special guest is wanted that continues from what that run had written, on an overlay of its own: what is kept stays as it is.
    One that was started from it already and is not over is given back.

    Raises NotFound, Conflict (its profile or a version is gone), Exhausted('seats'), DatabaseError.
    """
    kept = one(ports, run).kept
    with ports.database.write() as work:
        living = next((each for each in work.guests.list() if is_rescuing(each) and each.source == str(kept.run)), None)
        if living is not None:
            return living
        lab = _lab(work, kept)
        if work.profiles.get(kept.profile) is None:
            raise Conflict(
                f"The profile {kept.profile} with which {kept.run} ran is gone.",
                hint=f"Its files can still be read: labvirt rescue files {kept.run}",
            )
        for disk in kept.disks:
            if work.images.version(disk.image, disk.version) is None:
                raise Conflict(f"{disk.image} v{disk.version}, from which {kept.run} ran, is gone.", hint="labvirt rescue list")
        guest = specials.take(ports, work, lab, purpose=Purpose.RESCUE, profile=kept.profile, disks=kept.disks, source=str(kept.run))
        ports.note(
            work,
            kept.run.guest,
            f"what {kept.run} had written was started once more by {by}, as {guest.name}",
            verb="rescue",
            noun="guest",
            lab=guest.lab,
        )
        work.commit()
    ports.poke()
    return guest


@needs(Right.UPDATE, kept="run")
def files(ports: Ports, run: str, folder: str = "", *, place: int | None = None) -> tuple[OfflineEntry, ...]:
    """What lies in that folder of the disk as the run left it ('' : its partitions). `place`: which disk (None: the first). Nothing is
    written. Raises NotFound, InvalidInput, Unsupported, HostNotReady, DiskError."""
    kept = one(ports, run).kept
    return ports.offline.list(_layers(ports, kept.run, place), folder)


@needs(Right.SITE, site=True)
def fetch(ports: Ports, run: str, path: str, target: Path, *, by: str, place: int | None = None) -> Job:
    """A job that copies the file or folder out of the disk into the folder `target`, which must be empty or absent.
    Raises NotFound, InvalidInput, DatabaseError."""
    kept = one(ports, run).kept
    target = target.absolute()
    if not path.strip("/"):
        raise InvalidInput("path", "names a whole disk", hint=f"Look first: labvirt rescue files {kept.run}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput("target", f"{target} is not an empty folder", hint="Choose a new one.")
    _layers(ports, kept.run, place)
    arguments = {"run": str(kept.run), "path": path, "target": str(target), "place": "" if place is None else str(place)}
    job = jobs.enqueue(ports, JobKind.RESCUE_FILES, str(kept.run), by=by, arguments=arguments)
    ports.poke()
    return job


@needs(Right.UPDATE, kept="run")
def forget(ports: Ports, run: str, *, by: str) -> Kept:
    """What the run had written is gone for good. Raises NotFound, InUse (a guest was started from it, or a job reads it)."""
    kept = one(ports, run).kept
    with ports.database.write() as work:  # the lock is held until the file is gone: nobody starts from it meanwhile
        if user := user_of_kept(work, str(kept.run)):
            raise InUse("run", str(kept.run), user)
        ports.kept.remove(kept.run)
        ports.note(work, kept.run.guest, f"what {kept.run} had written was thrown away by {by}", verb="discard", noun="guest")
        work.commit()
    return kept


def do_files(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a RESCUE_FILES job. The copy appears whole or not at all, so a job that is begun again begins from nothing or, when
    only its last word was missing, finds its own work."""
    told = task.job.arguments
    target = Path(told["target"])
    said = f"copied to {target}: "
    with ports.database.read() as work:
        before = [line.removeprefix(said) for _, line in work.jobs.lines(task.job.number) if line.startswith(said)]
    if before:
        return {"target": str(target), "bytes": before[-1].split()[0]}
    place = int(told["place"]) if told.get("place") else None
    layers = _layers(ports, RunId.parse(told["run"]), place)
    task.step(f"reading {told['path']}", unit="bytes")
    count = ports.offline.fetch(layers, told["path"], target, task.progress)
    task.say(f"{said}{count} bytes")
    return {"target": str(target), "bytes": str(count)}


def _layers(ports: Ports, run: RunId, place: int | None) -> tuple[DiskLayer, ...]:
    found = dict(ports.kept.layers(run))
    if place is None and found:
        return found[min(found)]
    if place not in found:
        raise InvalidInput("disk", f"{run} has the disks {', '.join(map(str, sorted(found))) or 'none'}")
    return found[place]


def _lab(work: UnitOfWork, kept: Kept) -> str:
    """The lab in which it ran; a lab that is gone cannot take it."""
    guest = work.guests.get(kept.run.guest)
    name = guest.lab if guest else kept.run.guest.rpartition("-")[0]
    lab = work.labs.get(name)
    if lab is None:
        raise Conflict(
            f"The lab {name} in which {kept.run} ran is gone.", hint=f"Its files can still be read: labvirt rescue files {kept.run}"
        )
    return lab.name
