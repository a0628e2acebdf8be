# SPDX-License-Identifier: MIT
"""Compare rows with what lies in the image store, among the drafts and among the kept overlays. Changes nothing.

Rows are read before and after the files: what a job that was not ended at both times may be about is not judged, nor what came or went
between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, Purpose, Wish
from labvirt.domain.image import Image, Version, chain_of
from labvirt.domain.job import Job, JobKind
from labvirt.engine.world import World
from labvirt.errors import ImageDamaged, LabVirtError
from labvirt.usecases.rubbish import DRAFT, ORPHANS

MANY_JOBS = 10_000

_FOLDER = re.compile(r"v([1-9][0-9]*)-")
_IMAGE = re.compile(r"[a-z][a-z0-9-]*")
_WRITERS = (JobKind.IMPORT, JobKind.BLANK, JobKind.SESSION, JobKind.PUBLISH, JobKind.CANARY, JobKind.FLATTEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What the database says, at one moment. `marked`: files without an owner of which garbage collection knows already."""

    images: Mapping[str, Image]
    versions: tuple[Version, ...]
    drafts: tuple[Draft, ...]
    guests: tuple[Guest, ...]
    jobs: tuple[Job, ...]
    marked: frozenset[str]


def stored(world: World) -> Iterator[Finding]:
    """One finding for everything that does not agree, and one for what cannot be read. Raises DatabaseError."""
    before = _rows(world)
    try:
        entries, drafts, kept = world.store.entries(), world.drafts.list(), world.kept.list()
    except LabVirtError as error:
        yield _finding("storage-unknown", str(error), error.hint, "", Severity.ERROR)
        return
    after = _rows(world)
    busy = _images_of((*before.jobs, *after.jobs))
    still = _Rows(
        images=after.images,
        versions=tuple(version for version in after.versions if version in before.versions),
        drafts=tuple(draft for draft in after.drafts if draft in before.drafts and draft.image not in busy),
        guests=tuple(guest for guest in after.guests if guest in before.guests),
        jobs=(*before.jobs, *after.jobs),
        marked=before.marked | after.marked,
    )
    yield from _versions(world, still, after.versions, {entry.file: entry.stands_on for entry in entries}, busy)
    known = {version.file for version in (*before.versions, *after.versions)}
    numbers = {(version.image, version.number) for version in (*before.versions, *after.versions)}
    for entry in entries:
        image, number = _whose(entry.file)
        if entry.file in known or image in busy or str(entry.file) in still.marked or (image, number) in numbers:
            continue  # (a version that was flattened has its older file until garbage collection)
        sentence = f"The file {entry.file} lies in the image store and belongs to no version."
        yield _finding("image-orphan", sentence, "labvirt image gc", str(entry.file))
    names = {draft.name for draft in (*before.drafts, *after.drafts)}
    for file in drafts:
        if file.name not in names and DRAFT + file.name not in still.marked and file.name.partition(".")[0] not in busy:
            sentence = f"The file of the draft {file.name} exists and the database knows no such draft."
            yield _finding("draft-orphan", sentence, "labvirt image gc", file.name)
    yield from _drafts(still, frozenset(file.name for file in drafts))
    yield from _specials(still, {draft.name: draft for draft in after.drafts}, busy)
    for each in kept:
        if not each.profile:
            sentence = f"What {each.run} had written is kept, and its record cannot be read."
            yield _finding("kept-without-record", sentence, f"labvirt rescue files {each.run}", str(each.run))


def _rows(world: World) -> _Rows:
    with world.database.read() as work:
        images = work.images.list()
        return _Rows(
            images={image.name: image for image in images},
            versions=tuple(version for image in images for version in work.images.versions(image.name)),
            drafts=work.drafts.list(),
            guests=work.guests.list(),
            jobs=work.jobs.list(unended=True, last=MANY_JOBS),
            marked=frozenset(json.loads(work.facts.get(ORPHANS) or "{}")),
        )


def _images_of(jobs: tuple[Job, ...]) -> frozenset[str]:
    """Images whose files may change while these jobs are not ended."""
    names = set()
    for job in jobs:
        if job.kind in _WRITERS:
            subject = _IMAGE.match(job.subject)
            names |= {job.arguments.get("image", ""), subject[0] if subject else ""}
    return frozenset(names)


def _whose(file: PurePosixPath) -> tuple[str, int]:
    """Image and number of a version's file, by the name of its folder ('tiny/v3-0123456789ab/disk.qcow2'); number 0 when it has none."""
    folder = next((match for part in file.parts if (match := _FOLDER.match(part))), None)
    return file.parts[0], int(folder[1]) if folder else 0


def _versions(
    world: World, rows: _Rows, everything: tuple[Version, ...], real: Mapping[PurePosixPath, PurePosixPath | None], busy: frozenset[str]
) -> Iterator[Finding]:
    for version in rows.versions:
        image = rows.images.get(version.image)
        if image is None or image.binned_at is not None or version.binned_at is not None:
            continue  # who throws away takes the file first or the row first: both are on their way out
        finding = world.store.check(version)
        if finding is not None:
            yield finding
            continue
        if version.image in busy:
            continue
        try:
            chain_of(version, everything)
        except ImageDamaged as error:
            yield _finding("image-chain", str(error), error.hint, version.label, Severity.ERROR)
            continue
        below = real.get(version.file)
        stands_on = None if below is None else _whose(below)
        wanted = None if version.backing is None else (version.image, version.backing)
        if version.file in real and stands_on != wanted:
            said = f"{version.image} v{version.backing}" if version.backing else "nothing"
            sentence = f"The file of {version.label} stands on {below or 'nothing'}; it should stand on {said}."
            yield _finding("image-chain", sentence, f"labvirt version list {version.image}", version.label, Severity.ERROR)


def _drafts(rows: _Rows, files: frozenset[str]) -> Iterator[Finding]:
    guests = {guest.name: guest for guest in rows.guests}
    publishing = {job.subject for job in rows.jobs if job.kind is JobKind.PUBLISH}
    for draft in rows.drafts:
        if draft.alive and draft.name not in files:
            sentence = f"The draft {draft.name} is {draft.state} and its file is gone."
            yield _finding("draft-file-missing", sentence, f"labvirt admin discard {draft.name}", draft.name, Severity.ERROR)
        if draft.state is DraftState.PUBLISHING and draft.name not in publishing:
            sentence = f"The draft {draft.name} is being published and no job does it."
            yield _finding("draft-without-job", sentence, f"labvirt admin publish {draft.name}", draft.name)
        guest = guests.get(draft.guest or "")
        if draft.state is DraftState.OPEN and draft.guest is not None and (guest is None or guest.source != draft.name):
            sentence = (
                f"The draft {draft.name} is open, and its guest {draft.guest} {'does not exist' if guest is None else 'is not its own'}."
            )
            yield _finding("draft-without-guest", sentence, f"labvirt admin keep {draft.name}", draft.name)


def _specials(rows: _Rows, drafts: Mapping[str, Draft], busy: frozenset[str]) -> Iterator[Finding]:
    going_on = {f"job-{job.number}" for job in rows.jobs}
    for guest in rows.guests:
        if guest.wish is not Wish.RUNNING:
            continue
        draft = drafts.get(guest.source)
        lost = ""
        if guest.purpose in (Purpose.CANARY, Purpose.TEMPLATE) and guest.source not in going_on:
            lost = f"{guest.source or 'its job'} has ended"
        elif guest.purpose is Purpose.ADMIN and draft is None:
            lost = f"the draft {guest.source} does not exist"
        elif guest.purpose is Purpose.ADMIN and draft is not None and draft.image not in busy and draft.state is not DraftState.OPEN:
            lost = f"the draft {draft.name} is {draft.state}"
        if lost:
            sentence = f"{guest.name} ({guest.purpose}) is wanted, but {lost}."
            yield _finding("special-guest-lost", sentence, f"labvirt guest stop {guest.name} --how stop", guest.name)


def _finding(code: str, sentence: str, fix: str, subject: str, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(code=code, severity=severity, sentence=sentence, fix=fix, subject=subject)
