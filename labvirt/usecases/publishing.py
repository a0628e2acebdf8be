# SPDX-License-Identifier: MIT
"""Publishing a draft: shut down, seal, try, and move the pointer, as one job that may be begun again after any of its steps.

The number is reserved and kept in the draft before anything is sealed, so that a job that begins again seals the same
version and not a second one. Nothing is said to be published before the last transaction is durable; a draft whose job
failed is kept, with what was sealed of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.images import SealMethod, StoredVersion
from labvirt.domain.audit import Outcome
from labvirt.domain.canary import Canary
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import Guest, Purpose, StopHow, Wish
from labvirt.domain.image import Stage, Version, chain_of, version_words
from labvirt.errors import Conflict, InUse, LabVirtError
from labvirt.usecases import canaries, catalogue, flattening, specials
from labvirt.usecases.draining import clock_time
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task

SHUTDOWN_SECONDS = 60
STOP_SECONDS = 60
OPEN_SECONDS = 30
"""So long a process that ends may still have the draft's file open."""
LOOK_SECONDS = 0.5


def do_publish(ports: Ports, task: Task) -> Mapping[str, str]:
    """The draft is published as a version of its own; the result names it. After a failure the draft is kept, its guest is off or is being
    shut down, and the pointer is where it was. Raises Conflict (somebody published meanwhile; the canary is red; the guest does not
    stop), Cancelled, Interrupted, ImageDamaged, DiskError, Exhausted, DatabaseError."""
    words = task.job.arguments
    name, force = words["draft"], bool(words.get("replace"))
    with ports.database.read() as work:
        draft = work.drafts.one(name)
    if draft.state is DraftState.PUBLISHED and draft.candidate is not None:
        return _result(draft, draft.candidate)  # the last transaction was durable, and nobody was told
    try:
        draft = _begin(ports, task, name, force=force)
        _shut_down(ports, task, draft)
        version = _sealed(ports, task, name)
        override = words.get("override", "")
        green = _tried(ports, task, draft, version) if not override else None
        return _published(ports, task, name, version, green, override, force=force)
    except LabVirtError:  # not Interrupted: whoever takes the job up again goes on
        _keep(ports, name)
        raise


def check_pointer(work: UnitOfWork, draft: Draft) -> None:
    """Raises Conflict when something else is published than when the draft began: says what, and when by whom if that is known."""
    image = work.images.one(draft.image)
    if image.published == draft.pointer:
        return
    news = next((each for each in work.audit.last(50, image.name) if each.what.startswith(f"version {image.published} ")), None)
    told = f": {news.what}, at {clock_time(news.at)}" if news else ""
    began = f"v{draft.pointer}" if draft.pointer is not None else "nothing"
    raise Conflict(
        f"{draft.name} began when {began} of {image.name} was published, and now it is v{image.published}{told}.",
        hint=f"Nothing is lost, the draft stays. To publish it instead of v{image.published}: labvirt admin publish {draft.name} --replace",
    )


def _begin(ports: Ports, task: Task, name: str, *, force: bool) -> Draft:
    task.step("beginning")
    with ports.database.write() as work:
        draft = work.drafts.one(name)
        if not force:
            check_pointer(work, draft)
        after = draft.moved(DraftState.PUBLISHING, ports.clock.now())
        if after is not draft:
            work.drafts.update(after)
            ports.note(
                work, draft.image, f"draft {name} is being published by {task.job.asked_by}", verb="publish", noun="draft", lab=draft.lab
            )
            work.commit()
    return after


def _shut_down(ports: Ports, task: Task, draft: Draft) -> None:
    """Its guest is off, its run's folder is gone (the draft's companions are written back then), and the draft names no guest."""
    if draft.guest is None:
        return
    task.step(f"shutting down {draft.guest}")
    began, how = ports.clock.monotonic(), StopHow.SHUTDOWN
    while True:
        with ports.database.read() as work:
            guest = work.guests.get(draft.guest)
        if guest is None or guest.purpose is not Purpose.ADMIN or guest.source != draft.name or _over(ports, guest):
            break
        if not specials.is_off(guest) and guest.unwanted(how) is not guest:
            with ports.database.write() as work:
                specials.release(ports, work, guest.name, how, purpose=Purpose.ADMIN, source=draft.name)
                work.commit()
            ports.poke()
        waited = ports.clock.monotonic() - began
        if waited > SHUTDOWN_SECONDS and how is StopHow.SHUTDOWN:
            how = StopHow.STOP
            task.step(f"switching {draft.guest} off: it did not follow its power button")
        if waited > SHUTDOWN_SECONDS + STOP_SECONDS:
            raise Conflict(
                f"{draft.guest} does not stop ({guest.state}{': ' + guest.reason if guest.reason else ''}).",
                hint=f"Is the engine there (labvirt host show)? labvirt guest stop {draft.guest} --how kill, then publish again.",
            )
        task.sleep(LOOK_SECONDS)
    with ports.database.write() as work:
        work.drafts.update(replace(work.drafts.one(draft.name), guest=None))
        work.commit()


def _over(ports: Ports, guest: Guest) -> bool:
    return specials.is_off(guest) and (guest.run is None or ports.disks.open_run(guest.run) is None)


def _sealed(ports: Ports, task: Task, name: str) -> Version:
    """The version row of exactly the draft's present content, at least in the stage DRAFT."""
    with ports.database.write() as work:
        draft = work.drafts.one(name)
        number = draft.candidate
        known = work.images.version(draft.image, number) if number is not None else None
        if known is not None and known.binned_at is None:
            return known
        if number is None or known is not None:  # never one yet, or somebody threw it away
            number = work.images.next_number(draft.image)
            draft = replace(draft, candidate=number)
            work.drafts.update(draft)
            work.commit()
    with ports.database.read() as work:
        versions = work.images.versions(draft.image)
        parent = next((each for each in versions if each.number == draft.parent), None)
    if parent is None:
        raise Conflict(f"{draft.image} v{draft.parent}, on which {name} stands, is gone.", hint="labvirt verify")
    method = task.job.arguments.get("method")
    task.step(f"sealing {draft.image} v{number}", total=parent.virtual_bytes, unit="bytes")
    stored = _patiently(
        ports,
        task,
        lambda: ports.store.seal(
            name,
            chain_of(parent, versions),
            number=number,
            method=SealMethod(method) if method else None,
            progress=task.progress,
        ),
    )
    version = Version(
        image=draft.image,
        number=number,
        file=stored.file,
        format=stored.format,
        size_bytes=stored.size_bytes,
        virtual_bytes=stored.virtual_bytes,
        sha256=stored.sha256,
        stage=Stage.DRAFT,
        made_at=ports.clock.now(),
        parent=draft.parent,
        note=task.job.arguments.get("note", ""),
        author=task.job.asked_by,
        backing=stored.backing,
        companions=stored.companions,
    )
    with ports.database.write() as work:
        work.images.add_version(version)
        ports.note(
            work,
            draft.image,
            f"version {number} sealed from {name} by {task.job.asked_by}",
            verb="seal",
            noun="version",
            lab=draft.lab,
            after={"version": number},
        )
        work.commit()
    return version


def _patiently(ports: Ports, task: Task, deed: Callable[[], StoredVersion]) -> StoredVersion:
    """A process that is ending may hold the file for a moment yet."""
    began = ports.clock.monotonic()
    while True:
        try:
            return deed()
        except InUse:
            if ports.clock.monotonic() - began > OPEN_SECONDS:
                raise
        task.sleep(LOOK_SECONDS)


def _tried(ports: Ports, task: Task, draft: Draft, version: Version) -> Canary:
    """A green canary of this version, made by this job. Raises Conflict when it is red."""
    with ports.database.read() as work:
        known = work.canaries.get(version.image, version.number)
    begun = task.job.started_at
    if known is None or not known.green or version.stage is Stage.DRAFT or begun is None or known.at < begun:
        known = canaries.trial(ports, task, version, profile=draft.profile, lab=draft.lab)
    if not known.green:
        raise Conflict(
            f"The canary of {version.label} is red: {known.why_red}.",
            hint=f"See it: labvirt version show {version.image} {version.number}. The draft {draft.name} is kept: mend it and publish "
            f'again, or publish it all the same: labvirt admin publish {draft.name} --override "REASON"',
        )
    return known


def _published(
    ports: Ports, task: Task, name: str, version: Version, green: Canary | None, override: str, *, force: bool
) -> Mapping[str, str]:
    task.step(f"publishing {version.label}")
    catalogue.must_be_whole(ports, version)  # it may have been sealed, and tried, long ago
    with task.shield(), ports.database.write() as work:
        draft = work.drafts.one(name)
        image = work.images.one(draft.image)
        if not force:
            check_pointer(work, draft)
        if image.binned_at is not None:
            raise Conflict(f"The image {image.name} is in the recycle bin.", hint=f"labvirt image restore {image.name}")
        _annotate(work, version, task.job.arguments.get("note", ""))
        work.images.publish(image.name, version.number, expected=image.published)
        result = _result(draft, version.number)
        work.drafts.update(draft.moved(DraftState.PUBLISHED, ports.clock.now()))
        task.done_in(work, result)
        why = f", without a canary: {override}" if green is None else ""
        replaced = " in place of what was published meanwhile" if force and image.published != draft.pointer else ""
        before = image.published or "none"
        ports.note(
            work,
            image.name,
            f"version {version.number} published by {task.job.asked_by}{why}{replaced} (before: {before})",
            verb="publish",
            noun="image",
            before={"published": image.published},
            after={"published": version.number},
        )
        if len(chain_of(version, work.images.versions(image.name))) > ports.limits.layers:
            flattening.wanted(ports, work, version, by=task.job.asked_by)
        work.commit()
    ports.poke()
    return result


def _annotate(work: UnitOfWork, version: Version, note: str) -> None:
    """A candidate that was sealed before may get its words now."""
    row = work.images.version(version.image, version.number)
    if row is not None and note and row.note != note:
        work.images.update_version(replace(row, note=note))


def _result(draft: Draft, number: int) -> Mapping[str, str]:
    return {"draft": draft.name, **version_words(draft.image, number)}


def _keep(ports: Ports, name: str) -> None:
    """The draft is somebody's again. Its guest, if it has one, goes off: mending does it (sessions.mend)."""
    with ports.database.write() as work:
        draft = work.drafts.one(name)
        if draft.state is not DraftState.PUBLISHING:
            return
        guest = work.guests.get(draft.guest) if draft.guest else None
        after = draft.moved(DraftState.KEPT, ports.clock.now())
        if guest is not None and guest.source == name and guest.wish is Wish.RUNNING:
            specials.release(ports, work, guest.name, StopHow.SHUTDOWN, purpose=Purpose.ADMIN, source=name)
        work.drafts.update(after)
        ports.note(
            work,
            draft.image,
            f"draft {name} was not published: it is kept",
            verb="publish",
            noun="draft",
            lab=draft.lab,
            outcome=Outcome.FAILED,
        )
        work.commit()
