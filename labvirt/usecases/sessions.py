# SPDX-License-Identifier: MIT
"""Admin sessions and their drafts: update, publish, keep, discard, and looking at them. How one is opened is in session_start.py.

A draft changes its state at once; its guest is a wish, and is shut down afterwards: the draft names it until it is off.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.images import SealMethod
from labvirt.domain.audit import Outcome
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.job import Job, JobKind
from labvirt.domain.names import one_line
from labvirt.domain.profile import Protocol
from labvirt.domain.right import Right
from labvirt.errors import Conflict, DiskError, NotFound
from labvirt.usecases import draining, jobs, people, publishing, specials, whose
from labvirt.usecases.draining import MANY_JOBS, clock_time, held
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible
from labvirt.usecases.session_start import do_session, start

__all__ = [
    "SessionView",
    "discard",
    "do_session",
    "everything",
    "held",
    "keep",
    "mend",
    "one",
    "publish",
    "remind",
    "restore",
    "start",
    "touch",
]

PATIENCE_SECONDS = 60
"""So long a session's guest has to follow its power button; then it is switched off."""

_VERBS = {DraftState.KEPT: "keep", DraftState.DISCARDED: "discard"}
VNC_SOCKET = "vnc.sock"
"""In the run's folder (labvirt/hypervisors/qemu/layout.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A draft as people see it. `published`: the image's pointer now (another than `draft.pointer`: somebody published meanwhile).

    `guest`: its machine while there is one. `vnc`: a socket on this host; `spice`: the gateway's address and the TLS port, which opens to
    the terminal that was granted it.
    """

    draft: Draft
    published: int | None
    guest: Guest | None
    idle_minutes: int
    used_bytes: int
    vnc: Path | None = None
    spice: tuple[IPv4Address, int] | None = None

    @property
    def overtaken(self) -> bool:
        return self.draft.alive and self.published != self.draft.pointer


@needs(Right.LOOK, each=True)
def everything(ports: Ports, *, binned: bool = False) -> tuple[SessionView, ...]:
    """All drafts that are of use to somebody, by name; with `binned` also those that were discarded and can be restored."""
    used = {each.name: each.used_bytes for each in ports.drafts.list()}
    with ports.database.read() as work:
        wanted = [each for each in work.drafts.list() if each.alive or (binned and each.state is DraftState.DISCARDED)]
        seen = visible(ports, wanted, lambda draft: whose.of_draft(work, draft))
        return tuple(_view(ports, work, each, used.get(each.name, 0)) for each in seen)


@needs(Right.LOOK, draft="name")
def one(ports: Ports, name: str) -> SessionView:
    """By the name of the draft, or of the image whose only living draft it is. Raises NotFound, Conflict (several: names them)."""
    used = {each.name: each.used_bytes for each in ports.drafts.list()}
    with ports.database.read() as work:
        draft = _found(work, name)
        return _view(ports, work, draft, used.get(draft.name, 0))


@needs(Right.UPDATE, draft="name")
def publish(
    ports: Ports,
    name: str,
    *,
    by: str,
    note: str = "",
    override: str = "",
    replace: bool = False,
    method: SealMethod | None = None,
) -> Job:
    """A job that shuts the session's guest down, seals the draft, tries it and moves the pointer; its result names the version.

    `override`: why it is published without a green canary. `replace`: also if somebody else published meanwhile. Raises NotFound,
    MustConfirm, Conflict (somebody published meanwhile: names the version; it is being published already; it is over), DatabaseError. The
    draft is as before then.
    """
    people.lately(ports)
    with ports.database.write() as work:
        draft = _found(work, name)
        draft.moved(DraftState.PUBLISHING, ports.clock.now())  # says why not
        for other in work.jobs.list(unended=True, last=MANY_JOBS):
            if other.kind in (JobKind.PUBLISH, JobKind.SESSION) and other.subject == draft.name:
                doing = "published" if other.kind is JobKind.PUBLISH else "opened"
                raise Conflict(
                    f"{draft.name} is being {doing} already, by {other.asked_by} (job {other.number}).",
                    hint=f"labvirt job show {other.number}",
                )
        if not replace:
            publishing.check_pointer(work, draft)
        job = jobs.enqueue_in(
            ports,
            work,
            JobKind.PUBLISH,
            draft.name,
            by=by,
            arguments={
                "draft": draft.name,
                "image": draft.image,
                "note": one_line(note),
                "override": one_line(override),
                "replace": "yes" if replace else "",
                "method": str(method) if method else "",
            },
        )
        work.commit()
    ports.poke()
    return job


@needs(Right.UPDATE, draft="name")
def keep(ports: Ports, name: str, *, by: str) -> Draft:
    """The session is over, the draft stays; its guest is being shut down (`draft.guest` names it until it is off). Raises NotFound,
    Conflict."""
    return _end(ports, name, DraftState.KEPT, by)


@needs(Right.UPDATE, draft="name")
def discard(ports: Ports, name: str, *, by: str) -> Draft:
    """The session is over, the draft lies in the recycle bin; its guest is being shut down. Raises NotFound, Conflict."""
    return _end(ports, name, DraftState.DISCARDED, by)


@needs(Right.UPDATE, draft="name")
def restore(ports: Ports, name: str, *, by: str) -> Draft:
    """A discarded draft is kept again. Raises NotFound, Conflict (its file or its parent is gone; it was published)."""
    there = any(each.name == name for each in ports.drafts.list())
    with ports.database.write() as work:
        draft = work.drafts.one(name)
        after = draft.moved(DraftState.KEPT, ports.clock.now())
        if after is draft:
            return draft
        if draft.state is not DraftState.DISCARDED:
            raise Conflict(f"The draft {name} is {draft.state}, not discarded.", hint="labvirt admin list")
        if not there or work.images.version(draft.image, draft.parent) is None:
            raise Conflict(f"The draft {name} cannot come back: garbage collection has taken its file.", hint="Begin a new session.")
        work.drafts.update(after)
        ports.note(work, draft.image, f"draft {name} restored by {by}", verb="restore", noun="draft", lab=draft.lab)
        work.commit()
    return after


@needs(Right.UPDATE, draft="name")
def touch(ports: Ports, name: str) -> Draft:
    """Somebody did something with it just now: its idle time begins anew. Raises NotFound, Conflict."""
    with ports.database.write() as work:
        draft = _found(work, name)
        after = dataclasses.replace(draft, touched_at=ports.clock.now(), reminded_at=None)
        work.drafts.update(after)
        work.commit()
    return after


def mend(ports: Ports) -> None:
    """What a death between two steps left behind is put right; called often by the engine, and writes nothing when all is well.

    Drafts that no job publishes any more are kept; guests of ended sessions are off after a while; canaries without their job are not
    wanted; clients that were told to leave for a session nobody opens stay.
    """
    with ports.database.read() as work:
        if not _broken(work, ports.clock.now()):
            return
    called_off = []
    with ports.database.write() as work:
        now = ports.clock.now()
        for kind, subject in _broken(work, now):
            if kind == "publishing":
                draft = work.drafts.one(subject)
                work.drafts.update(draft.moved(DraftState.KEPT, now))
                ports.note(
                    work,
                    draft.image,
                    f"the publishing of {draft.name} ended half way: it is kept",
                    verb="publish",
                    noun="draft",
                    lab=draft.lab,
                    outcome=Outcome.FAILED,
                )
            elif kind == "left":
                draft = work.drafts.one(subject)
                work.drafts.update(dataclasses.replace(draft, guest=None))
            elif kind == "lingers":
                draft = work.drafts.one(subject)
                if draft.guest is not None:
                    specials.release(ports, work, draft.guest, StopHow.STOP, purpose=Purpose.ADMIN, source=draft.name)
            elif kind == "jobless":
                specials.release(ports, work, subject, StopHow.STOP, purpose=work.guests.one(subject).purpose)
            else:
                called_off.append(subject)
        work.commit()
    for image in called_off:
        draining.call_off(ports, image)
    ports.poke()


def _broken(work: UnitOfWork, now: datetime) -> tuple[tuple[str, str], ...]:
    """(what, of whom)."""
    found: list[tuple[str, str]] = []
    going_on = work.jobs.list(unended=True, last=MANY_JOBS)
    for draft in work.drafts.list():
        if draft.state is DraftState.PUBLISHING:
            if not any(job.kind is JobKind.PUBLISH and job.subject == draft.name for job in going_on):
                found.append(("publishing", draft.name))
        elif draft.state is not DraftState.OPEN and draft.guest is not None:
            guest = _own_guest(work, draft)
            if guest is None or specials.is_off(guest):
                found.append(("left", draft.name))
            elif guest.stop_how is StopHow.SHUTDOWN and now - draft.since > timedelta(seconds=PATIENCE_SECONDS):
                found.append(("lingers", draft.name))
    numbered = {f"job-{job.number}" for job in going_on}
    opened = {job.arguments.get("image") for job in going_on if job.kind is JobKind.SESSION}
    for guest in work.guests.list():
        if guest.purpose in (Purpose.CANARY, Purpose.TEMPLATE) and guest.wish is Wish.RUNNING and guest.source not in numbered:
            found.append(("jobless", guest.name))
        image = draining.notice_image(guest)
        if image is not None and image not in opened and ("drain", image) not in found:
            found.append(("drain", image))
    return tuple(found)


def remind(ports: Ports, now: datetime) -> tuple[Finding, ...]:
    """Sessions in which nothing has happened for `idle_minutes`: one finding each, for the status; the first time also a line of history.
    Nothing is stopped. A session whose screen somebody looks at now is not idle."""
    limit = timedelta(minutes=ports.limits.idle_minutes)
    with ports.database.read() as work:
        late = [each for each in work.drafts.list() if each.state is DraftState.OPEN and now - each.touched_at > limit]
        news = {each.name: _looked_at(work, each) for each in late if each.reminded_at is None or _looked_at(work, each)}
    if news:
        with ports.database.write() as work:
            for name, looked_at in news.items():
                draft = work.drafts.get(name)
                if draft is None or draft.state is not DraftState.OPEN:
                    continue
                if looked_at:
                    work.drafts.update(dataclasses.replace(draft, touched_at=now, reminded_at=None))
                else:
                    work.drafts.update(dataclasses.replace(draft, reminded_at=now))
                    ports.note(work, draft.image, f"{_idle(draft)}: publish, keep or discard it", noun="draft", lab=draft.lab)
            work.commit()
    return tuple(
        Finding(
            code="session-idle",
            severity=Severity.WARNING,
            sentence=f"{_idle(draft)}.",
            fix=f"labvirt admin publish {draft.name} (or keep, or discard)",
            subject=draft.name,
        )
        for draft in late
        if not news.get(draft.name)
    )


def _idle(draft: Draft) -> str:
    return f"The admin session {draft.name} of {draft.owner} is open and idle since {clock_time(draft.touched_at)}"


def _looked_at(work: UnitOfWork, draft: Draft) -> bool:
    guest = _own_guest(work, draft)
    return guest is not None and guest.state is GuestState.CONNECTED


def _end(ports: Ports, name: str, state: DraftState, by: str) -> Draft:
    with ports.database.write() as work:
        draft = _found(work, name)
        after = draft.moved(state, ports.clock.now())
        if after is draft:
            return draft
        if draft.state is DraftState.PUBLISHING:
            raise Conflict(f"The draft {draft.name} is being published.", hint="Call that off first: labvirt job list")
        guest = _own_guest(work, draft)
        if guest is None or specials.is_off(guest):
            after = dataclasses.replace(after, guest=None)
        else:
            specials.release(ports, work, guest.name, StopHow.SHUTDOWN, purpose=Purpose.ADMIN, source=draft.name)
        work.drafts.update(after)
        ports.note(
            work,
            draft.image,
            f"draft {draft.name} {state} by {by}",
            verb=_VERBS[state],
            noun="draft",
            lab=draft.lab,
            after={"draft": draft.name, "state": state},
        )
        work.commit()
    ports.poke()
    return after


def _own_guest(work: UnitOfWork, draft: Draft) -> Guest | None:
    """Its guest, as long as the row is its own (another may have taken the number since)."""
    guest = work.guests.get(draft.guest) if draft.guest is not None else None
    return guest if guest is not None and guest.purpose is Purpose.ADMIN and guest.source == draft.name else None


def _found(work: UnitOfWork, name: str) -> Draft:
    draft = work.drafts.get(name)
    if draft is not None:
        return draft
    living = [each for each in work.drafts.of_image(name) if each.alive] if work.images.get(name) else []
    if not living:
        raise NotFound("draft", name)
    if len(living) > 1:
        raise Conflict(f"{name} has several drafts: {', '.join(each.name for each in living)}.", hint="Name one of them.")
    return living[0]


def _socket(ports: Ports, run: RunId) -> Path | None:
    """None also for whoever may not look into a run's folder, as the web process: the socket would be of no use to it."""
    try:
        folder = ports.disks.open_run(run)
    except DiskError:
        return None
    return folder.path / VNC_SOCKET if folder else None


def _view(ports: Ports, work: UnitOfWork, draft: Draft, used_bytes: int) -> SessionView:
    guest = _own_guest(work, draft)
    image = work.images.get(draft.image)
    vnc, spice = None, None
    if guest is not None and guest.alive and guest.run is not None:
        vnc = _socket(ports, guest.run)
        profile = work.profiles.get(draft.profile)
        lab = work.labs.get(guest.lab)
        if profile is not None and lab is not None and profile.protocol is Protocol.SPICE:
            spice = (lab.network.gateway, lab.identity(guest.seat).display_port)
    idle = (ports.clock.now() - draft.touched_at).total_seconds() if draft.state is DraftState.OPEN else 0.0
    return SessionView(
        draft=draft,
        published=image.published if image else None,
        guest=guest,
        idle_minutes=max(0, int(idle // 60)),
        used_bytes=used_bytes,
        vnc=vnc,
        spice=spice,
    )
