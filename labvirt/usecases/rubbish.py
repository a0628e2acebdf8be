# SPDX-License-Identifier: MIT
"""Finding what nobody needs: what lies in the folders, held against the rows and against the real headers. Nothing is changed here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.disks import DraftFile
from labvirt.contracts.images import StoreEntry
from labvirt.contracts.uploads import Upload
from labvirt.domain.dependencies import dependents_of, said
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import Guest, GuestState, Purpose, Wish
from labvirt.domain.job import Job, JobKind, JobState
from labvirt.domain.kept import Kept, to_forget
from labvirt.domain.rubbish import Rubbish, RubbishKind
from labvirt.errors import DiskError
from labvirt.usecases import catalogue
from labvirt.usecases.jobs import ALL
from labvirt.usecases.ports import Ports

ORPHANS = "orphans"
"""Name of the fact: a file without an owner -> since when, as JSON."""

DRAFT, PICTURE = "draft:", "picture:"
"""Before the name of a draft's file or a canary's picture among the orphans; version folders stand there with their path in the store."""

_FILE = re.compile(r"([a-z][a-z0-9-]*)/v([1-9][0-9]*)-", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What lies in the folders at one moment. `references` None: not every header can be read, `problem` says which; then nothing of
    the store may be called unused."""

    entries: tuple[StoreEntry, ...]
    references: Mapping[PurePosixPath, tuple[str, ...]] | None
    problem: str
    drafts: tuple[DraftFile, ...]
    kept: tuple[Kept, ...]
    uploads: tuple[Upload, ...]
    leftovers: tuple[tuple[str, datetime], ...]
    pictures: tuple[str, ...]

    def unowned(self, work: UnitOfWork) -> tuple[str, ...]:
        """The names of version folders, draft files and pictures that no row knows, as ORPHANS has them."""
        known = {version.file for image in work.images.list() for version in work.images.versions(image.name)}
        files = [str(entry.file) for entry in self.entries if entry.file not in known]
        rows = {draft.name for draft in work.drafts.list()}
        shown = {canary.picture for canary in work.canaries.list()}
        pictures = [PICTURE + name for name in self.pictures if name not in shown]
        return (*files, *(DRAFT + each.name for each in self.drafts if each.name not in rows), *pictures)


def look(ports: Ports) -> Look:
    """Raises DiskError when a folder cannot be listed. A header that cannot be read is only said."""
    problem = ""
    references: Mapping[PurePosixPath, tuple[str, ...]] | None = None
    entries = ports.store.entries()
    try:
        references = ports.store.references()
    except DiskError as error:
        problem = error.sentence
    return Look(
        entries=entries,
        references=references,
        problem=problem,
        drafts=ports.drafts.list(),
        kept=ports.kept.list(),
        uploads=ports.uploads.list() if ports.uploads else (),
        leftovers=ports.uploads.leftovers() if ports.uploads else (),
        pictures=ports.trials.picture_names(),
    )


def rubbish_of(ports: Ports, work: UnitOfWork, seen: Look, marks: Mapping[str, datetime]) -> tuple[Rubbish, ...]:
    """All of it, the soonest first."""
    found = [
        *_images(ports, work, seen),
        *_drafts(ports, work, seen),
        *_files(ports, work, seen, marks),
        *_kept(ports, work, seen),
        *_uploads(ports, work, seen),
    ]
    return tuple(sorted(found, key=lambda each: (each.goes_at, each.kind, each.name)))


def _images(ports: Ports, work: UnitOfWork, seen: Look) -> Iterator[Rubbish]:
    """Images and versions in the recycle bin."""
    used = {entry.file: entry.used_bytes for entry in seen.entries}
    grace = timedelta(days=ports.limits.bin_days)
    for image in work.images.list():
        all_ = catalogue.everybody(work, image, seen.kept, seen.references)
        if image.binned_at is not None:
            yield Rubbish(
                kind=RubbishKind.IMAGE,
                name=image.name,
                since=image.binned_at,
                goes_at=image.binned_at + grace,
                used_bytes=sum(used.get(version.file, 0) for version in all_.versions),
                waits_for=seen.problem or said(dependents_of(all_, None)),
            )
            continue
        for version in all_.versions:
            if version.binned_at is not None:
                yield Rubbish(
                    kind=RubbishKind.VERSION,
                    name=version.label,
                    since=version.binned_at,
                    goes_at=version.binned_at + grace,
                    used_bytes=used.get(version.file, 0),
                    waits_for=seen.problem or said(dependents_of(all_, version.number)),
                )


def _drafts(ports: Ports, work: UnitOfWork, seen: Look) -> Iterator[Rubbish]:
    used = {each.name: each.used_bytes for each in seen.drafts}
    for draft in work.drafts.list():
        if draft.state in (DraftState.PUBLISHED, DraftState.DISCARDED):
            yield Rubbish(
                kind=RubbishKind.DRAFT,
                name=draft.name,
                since=draft.since,
                goes_at=draft.since + timedelta(days=ports.limits.bin_days),
                used_bytes=used.get(draft.name, 0),
            )


def _files(ports: Ports, work: UnitOfWork, seen: Look, marks: Mapping[str, datetime]) -> Iterator[Rubbish]:
    """Files without an owner."""
    now, grace = ports.clock.now(), timedelta(hours=ports.limits.orphan_hours)
    used = {str(entry.file): entry.used_bytes for entry in seen.entries} | {DRAFT + each.name: each.used_bytes for each in seen.drafts}
    jobs = work.jobs.list(unended=True, last=ALL)
    for name in seen.unowned(work):
        since = marks.get(name, now)
        if name.startswith(DRAFT):
            image = name.removeprefix(DRAFT).partition(".")[0]
            kind, waits = RubbishKind.DRAFT_FILE, _session(jobs, image)
        elif name.startswith(PICTURE):
            kind, waits = RubbishKind.CANARY, ""
        else:
            users = (seen.references or {}).get(PurePosixPath(name), ())
            kind, waits = RubbishKind.VERSION_FILE, seen.problem or ", ".join(users) or coming(work, jobs, name)
        yield Rubbish(
            kind=kind,
            name=name.removeprefix(DRAFT).removeprefix(PICTURE),
            since=since,
            goes_at=since + grace,
            used_bytes=used.get(name, 0),
            waits_for=waits,
        )


def _session(jobs: tuple[Job, ...], image: str) -> str:
    busy = next((job for job in jobs if job.kind is JobKind.SESSION and image in (job.subject, job.arguments.get("image"))), None)
    return f"the job {busy.number}" if busy else ""


def coming(work: UnitOfWork, jobs: tuple[Job, ...], file: str) -> str:
    """Is somebody about to write the row of this version folder?"""
    match = _FILE.match(file)
    if match is None:
        return ""
    image, number = match[1], match[2]
    for job in jobs:
        if job.arguments.get("number") == number and image in (job.subject, job.arguments.get("image")):
            return f"the job {job.number}"
    for draft in work.drafts.of_image(image):
        if draft.state is DraftState.PUBLISHING and str(draft.candidate) == number:
            return f"the draft {draft.name}"
    return ""


def _kept(ports: Ports, work: UnitOfWork, seen: Look) -> Iterator[Rubbish]:
    now, hours = ports.clock.now(), ports.limits.rescue_hours
    rescued = _rescued(work)
    for kept in to_forget(seen.kept, now, hours=hours, budget_bytes=ports.limits.rescue_budget_mib << 20):
        yield Rubbish(
            kind=RubbishKind.KEPT,
            name=str(kept.run),
            since=kept.ended_at,
            goes_at=min(now, kept.ended_at + timedelta(hours=hours)),
            used_bytes=kept.used_bytes,
            waits_for=f"the guest {rescued[str(kept.run)]}" if str(kept.run) in rescued else _reading(work, str(kept.run)),
        )


def is_rescuing(guest: Guest) -> bool:
    """Does it stand on a kept overlay, or is it about to?"""
    over = guest.wish is Wish.STOPPED and guest.state in (GuestState.STOPPED, GuestState.FAILED)
    return guest.purpose is Purpose.RESCUE and not over


def user_of_kept(work: UnitOfWork, run: str) -> str:
    """Who needs what this run has written, now; empty: nobody."""
    guest = _rescued(work).get(run)
    return f"the guest {guest}" if guest is not None else _reading(work, run)


def _rescued(work: UnitOfWork) -> Mapping[str, str]:
    """Run -> the guest that was started from it."""
    return {guest.source: guest.name for guest in work.guests.list() if is_rescuing(guest)}


def _reading(work: UnitOfWork, run: str) -> str:
    jobs = work.jobs.list(unended=True, last=ALL)
    busy = next((job for job in jobs if job.kind is JobKind.RESCUE_FILES and job.subject == run), None)
    return f"the job {busy.number}" if busy else ""


def _uploads(ports: Ports, work: UnitOfWork, seen: Look) -> Iterator[Rubbish]:
    """Uploads whose import is done, and those that nobody goes on with."""
    changed = dict(seen.leftovers)
    imports = [job for job in work.jobs.list(last=ALL) if job.kind is JobKind.IMPORT] if seen.uploads else []
    for upload in seen.uploads:
        since = changed.get(upload.id, upload.made_at)
        had = [job for job in imports if job.arguments.get("upload") == upload.id]
        if any(not job.ended for job in had):
            continue
        done = any(job.state is JobState.DONE for job in had)
        goes = since if done else since + timedelta(days=ports.limits.bin_days)
        yield Rubbish(kind=RubbishKind.UPLOAD, name=upload.id, since=since, goes_at=goes, used_bytes=upload.offset)
    known = {upload.id for upload in seen.uploads}
    for name, since in seen.leftovers:
        if name not in known:
            goes = since + timedelta(hours=ports.limits.orphan_hours)
            yield Rubbish(kind=RubbishKind.UPLOAD, name=name, since=since, goes_at=goes)
