# SPDX-License-Identifier: MIT
"""Opening an admin session: everything is looked at before the job, then the job drains, makes the draft, and starts its guest.

The job may be begun again at any point: its draft's number is reserved with it, and the draft's row, its state and its
guest's wish are written in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.audit import Outcome
from labvirt.domain.draft import Draft, DraftState, check_draft_name, draft_name
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow
from labvirt.domain.image import DiskChoice, Image, Version, chain_of
from labvirt.domain.job import Job, JobKind
from labvirt.domain.lab import Lab
from labvirt.domain.placement import disks_of
from labvirt.domain.profile import Profile, SessionPolicy, SlotKind
from labvirt.domain.reach import SITE
from labvirt.domain.right import Right
from labvirt.errors import Conflict, HypervisorError, InvalidInput, LabVirtError
from labvirt.usecases import catalogue, draining, jobs, power, specials, whose
from labvirt.usecases.draining import MANY_JOBS
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import must, needs
from labvirt.usecases.task import Task

UNWRITTEN_BYTES = 1 << 20
"""An overlay that occupies no more holds nothing but its own tables."""
LOOK_SECONDS = 0.5


@needs(Right.LOOK, profile="profile", lab="lab", image="image", draft="draft")
def start(
    ports: Ports,
    profile: str,
    *,
    by: str,
    lab: str | None = None,
    image: str | None = None,
    draft: str | None = None,
    cdrom: str = "",
    boot_cdrom: bool = False,
) -> Job:
    """A job that opens an admin session of this profile on `image` (default: that of its first disk); its result names draft and guest.

    `draft`: go on with one that was kept. Everything that can be known now is looked at now. Raises NotFound, InvalidInput (cdrom, image,
    lab), Conflict (image is being updated; clients run and the profile's policy is `refuse`; nothing to start from), DatabaseError.
    """
    if cdrom:
        must(ports, Right.SITE, SITE, "name a file of the server")
    cdrom = _checked_cdrom(cdrom, boot_cdrom)
    with ports.database.write() as work:
        found = work.profiles.one(profile)
        old = _resumed(ports, work, draft)
        if old is not None:
            image, lab = image or old.image, lab or old.lab
            if image != old.image:
                raise InvalidInput("image", f"the draft {old.name} is one of {old.image}")
        place = _lab(work, found, lab)
        number, choice = _disk(work, found, image)
        for reach in (whose.lab(work, place.name), whose.image(work, choice.name)):
            must(ports, Right.UPDATE, reach, "update this image there")
        _nobody_updates(work, choice, besides=old)
        if old is None:
            _base(work, choice)
        _others(work, found, number)
        if found.session_policy is SessionPolicy.REFUSE:
            _nobody_runs(work, found, choice.name)
        name = old.name if old else draft_name(choice.name, work.images.next_number(choice.name, of="draft"))
        job = jobs.enqueue_in(
            ports,
            work,
            JobKind.SESSION,
            name,
            by=by,
            arguments={
                "draft": name,
                "profile": found.name,
                "lab": place.name,
                "image": choice.name,
                "place": str(number),
                "cdrom": cdrom,
                "boot": "cdrom" if boot_cdrom else "",
                "resumed": "yes" if old else "",
            },
        )
        work.commit()
    ports.poke()
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """What the job was asked for."""

    draft: str
    profile: Profile
    lab: Lab
    image: str
    place: int
    cdrom: str
    boot_cdrom: bool
    resumed: bool
    by: str


def do_session(ports: Ports, task: Task) -> Mapping[str, str]:
    """The session is open, its guest runs. Otherwise its guest is not wanted, and the draft is kept (in the bin if it is new and holds
    nothing). Raises Conflict, HypervisorError (its guest cannot be started), Cancelled, Interrupted, ImageDamaged, DiskError, Exhausted."""
    with ports.database.read() as work:
        asked = _asked(work, task.job)
        row = work.drafts.get(asked.draft)
        known = work.guests.get(row.guest) if row is not None and row.state is DraftState.OPEN and row.guest is not None else None
    guest = known.name if known is not None and known.source == asked.draft and not specials.is_off(known) else None
    if guest is None:  # else it was opened before this job's process died
        if asked.profile.session_policy is SessionPolicy.DRAIN:
            _could_be_opened(ports, task, asked)
            draining.drain(ports, task, asked.image, asked.profile.drain_seconds)
        try:
            guest = _open(ports, task, asked)
        except LabVirtError:
            _forget_file(ports, asked.draft)
            raise
        ports.poke()
    try:
        _until_it_runs(ports, task, asked, guest)
    except LabVirtError:  # whatever it was: a session that nobody has must not hold the class up
        _give_up(ports, asked, guest)
        raise
    return {"draft": asked.draft, "guest": guest}


def _could_be_opened(ports: Ports, task: Task, asked: _Opening) -> None:
    """Nobody is told to leave for a session that cannot be. Raises what opening it would raise now."""
    with ports.database.read() as work:
        image, row = work.images.one(asked.image), work.drafts.get(asked.draft)
        base = _base(work, image) if row is None else _parent(work, row)
        _nobody_updates(work, image, besides=row, job=task.job.number)
        _others(work, asked.profile, asked.place)
        specials.free(ports, work, asked.lab)
    catalogue.must_be_whole(ports, base)


def _open(ports: Ports, task: Task, asked: _Opening) -> str:
    """Draft and wish are durable; gives the guest's name."""
    while True:
        task.step("making the draft")
        with ports.database.read() as work:
            row = work.drafts.get(asked.draft)
            image = work.images.one(asked.image)
            base = _base(work, image) if row is None else _parent(work, row)
            chain = chain_of(base, work.images.versions(asked.image))
        if row is None:
            ports.drafts.remove(asked.draft)  # of an attempt that died before its row was written: nobody has used it
        ports.drafts.create(asked.draft, chain)
        with ports.database.write() as work:
            image = work.images.one(asked.image)
            row = work.drafts.get(asked.draft)
            if row is None and _base(work, image) != base:
                continue  # somebody published while the file was made
            _nobody_updates(work, image, besides=row, job=task.job.number)
            if asked.profile.session_policy is SessionPolicy.REFUSE:
                _nobody_runs(work, asked.profile, asked.image)
            disks = (*_others(work, asked.profile, asked.place), DiskChoice(place=asked.place, image=asked.image, version=base.number))
            guest = _take(ports, work, asked, row, tuple(sorted(disks, key=lambda disk: disk.place)))
            _write(ports, work, asked, row, image, base, guest)
            work.commit()
        return guest.name


def _take(ports: Ports, work: UnitOfWork, asked: _Opening, row: Draft | None, disks: tuple[DiskChoice, ...]) -> Guest:
    own = work.guests.get(row.guest) if row is not None and row.guest is not None else None
    if row is not None and own is not None and own.source == row.name and own.purpose is Purpose.ADMIN:
        if not specials.is_off(own) and own.state is not GuestState.FAILED:
            raise Conflict(f"The draft {row.name} is still used by {own.name} ({own.state}).", hint="Wait until it is off.")
        if row.state is DraftState.OPEN:  # or its number would be held by this very draft
            work.drafts.update(replace(row, guest=None))
    return specials.take(
        ports,
        work,
        asked.lab,
        purpose=Purpose.ADMIN,
        profile=asked.profile.name,
        disks=disks,
        source=asked.draft,
        cdrom=asked.cdrom,
        boot_cdrom=asked.boot_cdrom,
    )


def _write(ports: Ports, work: UnitOfWork, asked: _Opening, row: Draft | None, image: Image, base: Version, guest: Guest) -> None:
    now = ports.clock.now()
    if row is None:
        draft = Draft(
            name=asked.draft,
            image=asked.image,
            parent=base.number,
            pointer=image.published,
            profile=asked.profile.name,
            lab=asked.lab.name,
            place=asked.place,
            state=DraftState.OPEN,
            since=now,
            made_at=now,
            touched_at=now,
            owner=asked.by,
            guest=guest.name,
        )
        work.drafts.add(draft)
    else:
        draft = replace(
            row.moved(DraftState.OPEN, now),
            profile=asked.profile.name,
            lab=asked.lab.name,
            place=asked.place,
            owner=asked.by,
            guest=guest.name,
            candidate=None,
            touched_at=now,
            reminded_at=None,
        )
        work.drafts.update(draft)
    again = "opened again" if row else f"opened on v{base.number}"
    ports.note(
        work,
        asked.image,
        f"admin session {asked.draft} {again} by {asked.by} ({guest.name})",
        verb="open",
        noun="draft",
        lab=guest.lab,
        after={"draft": asked.draft, "guest": guest.name},
    )


def _until_it_runs(ports: Ports, task: Task, asked: _Opening, name: str) -> None:
    said = ""
    while True:
        with ports.database.read() as work:
            guest = work.guests.one(name)
        if guest.source != asked.draft or guest.purpose is not Purpose.ADMIN:
            raise Conflict(f"The guest {name} belongs to somebody else by now.", hint=f"labvirt admin start --draft {asked.draft}")
        if guest.ready:
            return
        if guest.state is GuestState.FAILED:
            raise HypervisorError(
                f"{name} could not be started: {guest.reason or 'no reason is known'}.",
                operation="start",
                subject=name,
                hint=f"See its log: labvirt guest show {name}",
            )
        if specials.is_off(guest):
            raise Conflict(f"{name} was stopped before it ran.", hint="labvirt admin list")
        words = f"starting {name}" + (f": {guest.reason}" if guest.reason else "")
        if words != said:
            task.step(words)
            said = words
        task.sleep(LOOK_SECONDS)


def _forget_file(ports: Ports, name: str) -> None:
    """A draft's file that was made and got no row is gone; what cannot be looked up or removed now is garbage collection's."""
    with suppress(LabVirtError):
        with ports.database.read() as work:
            known = work.drafts.get(name)
        if known is None:
            ports.drafts.remove(name)


def _give_up(ports: Ports, asked: _Opening, name: str) -> None:
    used = {each.name: each.used_bytes for each in ports.drafts.list()}
    with ports.database.write() as work:
        guest = specials.release(ports, work, name, StopHow.STOP, purpose=Purpose.ADMIN, source=asked.draft)
        draft = work.drafts.get(asked.draft)
        if draft is not None and draft.state is DraftState.OPEN and draft.guest == name:
            empty = not asked.resumed and used.get(asked.draft, 0) <= UNWRITTEN_BYTES and not (guest and guest.running_at)
            after = draft.moved(DraftState.DISCARDED if empty else DraftState.KEPT, ports.clock.now())
            work.drafts.update(after)
            ports.note(
                work,
                asked.image,
                f"admin session {asked.draft} did not come up: {after.state}",
                verb="open",
                noun="draft",
                outcome=Outcome.FAILED,
            )
        work.commit()
    ports.poke()


def _asked(work: UnitOfWork, job: Job) -> _Opening:
    words = job.arguments
    return _Opening(
        draft=words["draft"],
        profile=work.profiles.one(words["profile"]),
        lab=work.labs.one(words["lab"]),
        image=words["image"],
        place=int(words["place"]),
        cdrom=words.get("cdrom", ""),
        boot_cdrom=words.get("boot") == "cdrom",
        resumed=bool(words.get("resumed")),
        by=job.asked_by,
    )


def _resumed(ports: Ports, work: UnitOfWork, name: str | None) -> Draft | None:
    if name is None:
        return None
    check_draft_name(name)
    draft = work.drafts.one(name)
    guest = work.guests.get(draft.guest) if draft.guest else None
    mine = guest is not None and guest.source == draft.name and guest.purpose is Purpose.ADMIN
    off = guest is None or not mine or specials.is_off(guest) or guest.state is GuestState.FAILED
    if draft.state is DraftState.OPEN and not off:
        raise Conflict(
            f"{draft.name} is open already, by {draft.owner} since {draining.clock_time(draft.since)} ({draft.guest}).",
            hint=f"Publish, keep or discard it: labvirt admin publish {draft.name}",
        )
    if not off:
        raise Conflict(f"The guest of {draft.name}, {draft.guest}, is still being shut down.", hint="Wait a moment, then try again.")
    if draft.state is not DraftState.OPEN:
        draft.moved(DraftState.OPEN, ports.clock.now())  # says why not
    publishing = [job for job in work.jobs.list(unended=True, last=MANY_JOBS) if job.kind is JobKind.PUBLISH and job.subject == draft.name]
    if publishing:
        raise Conflict(
            f"{draft.name} is being published by {publishing[0].asked_by} (job {publishing[0].number}).",
            hint=f"Wait, or call it off: labvirt job cancel {publishing[0].number}",
        )
    if not any(each.name == draft.name for each in ports.drafts.list()):
        raise Conflict(f"The file of the draft {draft.name} is gone.", hint=f"Begin a new session: labvirt admin start {draft.profile}")
    return draft


def _lab(work: UnitOfWork, profile: Profile, name: str | None) -> Lab:
    if name is not None:
        lab = work.labs.one(name)
        if not profile.fits(lab.name):
            why = f"it is meant for {', '.join(sorted(profile.labs))}" if profile.active else "it is not active"
            raise Conflict(f"The profile {profile.name} cannot be used in {lab.name}: {why}.", hint=f"labvirt profile show {profile.name}")
        return lab
    fitting = [lab for lab in work.labs.list() if profile.fits(lab.name)]
    if not fitting:
        why = "there is no lab that it fits" if profile.active else "it is not active"
        raise Conflict(f"The profile {profile.name} cannot be used: {why}.", hint=f"labvirt profile show {profile.name}")
    if len(fitting) > 1:
        raise InvalidInput("lab", f"the profile {profile.name} fits several labs", hint=f"--lab {'|'.join(lab.name for lab in fitting)}")
    return fitting[0]


def _disk(work: UnitOfWork, profile: Profile, image: str | None) -> tuple[int, Image]:
    """The place of the disk that is to be changed, and its image."""
    disks = [(number, slot.image) for number, slot in enumerate(profile.slots) if slot.kind is SlotKind.DISK]
    for number, name in disks:
        if name is not None and image in (None, name):
            found = work.images.one(name)
            if found.binned_at is not None:
                raise Conflict(f"The image {name} is in the recycle bin.", hint=f"labvirt image restore {name}")
            return number, found
    names = ", ".join(dict.fromkeys(name for _, name in disks if name))
    raise InvalidInput("image", f"the profile {profile.name} has no disk of {image}", hint=f"Its disks are of: {names}")


def _base(work: UnitOfWork, image: Image) -> Version:
    """What a new draft stands on: the published version, or the newest while none is."""
    there = [version for version in work.images.versions(image.name) if version.binned_at is None]
    wanted = image.published if image.published is not None else max((version.number for version in there), default=0)
    found = next((version for version in there if version.number == wanted), None)
    if found is None:
        raise Conflict(
            f"The image {image.name} has no version to begin from.",
            hint=f"labvirt image import {image.name} FILE, or for an empty disk: labvirt image blank {image.name} --size 40G",
        )
    return found


def _parent(work: UnitOfWork, draft: Draft) -> Version:
    found = work.images.version(draft.image, draft.parent)
    if found is None:
        raise Conflict(f"{draft.image} v{draft.parent}, on which {draft.name} stands, is gone.", hint="labvirt verify")
    return found


def _others(work: UnitOfWork, profile: Profile, place: int) -> tuple[DiskChoice, ...]:
    """The versions of the profile's other disks. Raises Conflict."""
    rest = [slot for number, slot in enumerate(profile.slots) if number != place and slot.kind is SlotKind.DISK]
    if not rest:
        return ()
    images = {image.name: image for image in work.images.list()}
    found = disks_of(replace(profile, slots=tuple(rest)), images)
    if isinstance(found, str):
        raise Conflict(f"The profile {profile.name} cannot be started: {found}.", hint=f"labvirt profile show {profile.name}")
    numbers = [number for number, slot in enumerate(profile.slots) if number != place and slot.kind is SlotKind.DISK]
    return tuple(replace(choice, place=number) for choice, number in zip(found, numbers, strict=True))


def _nobody_updates(work: UnitOfWork, image: Image, *, besides: Draft | None, job: int | None = None) -> None:
    own = besides.name if besides else None
    for draft in work.drafts.of_image(image.name):
        if draft.name == own or draft.state not in (DraftState.OPEN, DraftState.PUBLISHING):
            continue
        doing = "being published" if draft.state is DraftState.PUBLISHING else "being updated"
        raise Conflict(
            f"{image.name} is {doing} by {draft.owner} since {draining.clock_time(draft.since)} ({draft.name}).",
            hint=f"Wait, or ask {draft.owner}; to put it aside: labvirt admin keep {draft.name}",
        )
    for other in work.jobs.list(unended=True, last=MANY_JOBS):
        if other.kind is JobKind.SESSION and other.number != job and other.arguments.get("image") == image.name and job is None:
            raise Conflict(
                f"{image.name} is just being opened by {other.asked_by} since {draining.clock_time(other.asked_at)} (job {other.number}).",
                hint=f"Wait, or ask {other.asked_by}; to call it off: labvirt job cancel {other.number}",
            )


def _nobody_runs(work: UnitOfWork, profile: Profile, image: str) -> None:
    running = draining.clients(work, image)
    if running:
        raise Conflict(
            f"{draining.counted(running)} run{'s' if len(running) == 1 else ''} from {image}, "
            f"and the profile {profile.name} refuses to be updated meanwhile.",
            hint=f"Stop them, or let it drain or go on: labvirt profile set {profile.name} --session-policy drain|alongside",
        )


def _checked_cdrom(cdrom: str, boot_cdrom: bool) -> str:
    if not cdrom:
        if boot_cdrom:
            raise InvalidInput("boot", "there is no CD to boot from", hint="Name one: --cdrom FILE")
        return ""
    if not Path(cdrom).is_absolute():
        raise InvalidInput("cdrom", "must be the absolute path of a disc image", hint="For example /srv/iso/debian.iso")
    return power.check_cdrom(cdrom)
