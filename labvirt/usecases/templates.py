# SPDX-License-Identifier: MIT
"""Templates for instant clones: what there is, what is missing, and the job that boots a guest and freezes it.

A profile opts in. From then on a chore asks for a template whenever seats would start from one that is not there (a new version, another
QEMU, a changed machine), and removes those that nobody starts from. Meanwhile, and whenever anything fails, guests boot from their disks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.engine import TemplateReport, TemplateStatus, TemplateWish
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow
from labvirt.domain.job import Job, JobKind, JobState
from labvirt.domain.lab import Lab
from labvirt.domain.placement import disks_of
from labvirt.domain.profile import Profile
from labvirt.domain.right import Right
from labvirt.domain.template import TemplateName
from labvirt.errors import Conflict, GuestNotReady, InUse, LabVirtError
from labvirt.usecases import jobs, specials, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible
from labvirt.usecases.task import Task

LOOK_SECONDS = 0.5
BUSY = 0.5
"""Of one processor: who wants more works still, whatever it shows. A desktop that waits for its person wants a tenth under emulation; one
that boots on a host with much to do may show nothing new for many seconds, and wants all that it does not get."""
AGAIN = timedelta(minutes=30)
"""After a build that failed the next is asked for so much later, unless a person asks."""
BY = "labvirt"
_NUMBER = "template-number:"


@needs(Right.LOOK, each=True)
def everything(ports: Ports) -> TemplateReport:
    """The templates of all profiles that the caller sees, and those that are missing. Raises EngineAway, DriverError."""
    found = ports.engine.templates()
    with ports.database.read() as work:
        return TemplateReport(
            kept=visible(ports, found.kept, lambda each: whose.profile(work, each.template.name.profile)),
            missing=visible(ports, found.missing, lambda each: whose.profile(work, each.profile)),
            problem=found.problem,
        )


@needs(Right.LOOK, profile="profile")
def of_profile(ports: Ports, profile: str) -> TemplateReport:
    """The templates of this profile on the engine's host, and those that are missing. Raises NotFound, EngineAway, DriverError."""
    with ports.database.read() as work:
        work.profiles.one(profile)
    found = ports.engine.templates()
    return TemplateReport(
        kept=tuple(each for each in found.kept if each.template.name.profile == profile),
        missing=tuple(each for each in found.missing if each.profile == profile),
        problem=found.problem,
    )


@needs(Right.DESIGN, profile="profile")
def build(ports: Ports, profile: str, *, by: str) -> Job:
    """A job that makes a new template of what the profile is now; one that is being made already is given back. Raises NotFound, Conflict
    (the profile does not opt in, has no version, fits no lab; this host cannot), EngineAway."""
    report = of_profile(ports, profile)
    if report.problem:
        raise Conflict(f"There are no instant clones: {report.problem}.", hint="labvirt host show")
    usb = report.missing[0].usb if report.missing else False
    with ports.database.write() as work:
        job = _asked(ports, work, work.profiles.one(profile), usb=usb, by=by)
        work.commit()
    ports.poke()
    return job


@needs(Right.DESIGN, profile="profile")
def remove(ports: Ports, profile: str, number: int) -> None:
    """The template is gone. One that seats would start from is made anew by itself as long as the profile opts in. Raises NotFound, InUse,
    EngineAway, DriverError."""
    with ports.database.read() as work:
        work.profiles.one(profile)
    name = TemplateName(profile, number)
    ports.engine.remove_template(str(name))
    with ports.database.write() as work:
        ports.note(work, profile, f"template {name} removed", verb="remove", noun="template")
        work.commit()


def keep(ports: Ports) -> None:
    """What is missing is asked for, and what nobody starts from or stands on is gone. Raises DatabaseError, EngineAway, DriverError."""
    with ports.database.read() as work:
        if not any(profile.instant_clone for profile in work.profiles.list()) and not _has_any(work):
            return
    report = ports.engine.templates()
    for wish in report.missing:
        _want(ports, wish)
    for each in report.kept:
        if each.stale and not each.users:
            _drop(ports, each)


def _has_any(work: UnitOfWork) -> bool:
    return any(work.facts.get(_NUMBER + profile.name) for profile in work.profiles.list())


def _drop(ports: Ports, each: TemplateStatus) -> None:
    name = each.template.name
    try:
        ports.engine.remove_template(str(name))
    except InUse:
        return  # somebody began from it just now
    with ports.database.write() as work:
        ports.note(work, name.profile, f"template {name} removed: {each.stale}", verb="remove", noun="template")
        work.commit()


def _want(ports: Ports, wish: TemplateWish) -> None:
    now = ports.clock.now()
    with ports.database.write() as work:
        profile = work.profiles.get(wish.profile)
        if profile is None or _failed_lately(work, wish, now):
            return
        try:
            _asked(ports, work, profile, usb=wish.usb, by=BY)
        except Conflict:
            return  # it has no version, or no lab: nobody could start either
        work.commit()
    ports.poke()


def _failed_lately(work: UnitOfWork, wish: TemplateWish, now: datetime) -> bool:
    """The same wish came to nothing a moment ago: nothing has changed, so it would again."""
    digest = _digest(wish.disks, wish.usb)
    for job in work.jobs.list(last=jobs.KEPT):
        if job.kind is JobKind.TEMPLATE and job.subject == wish.profile and job.arguments.get("of") == digest and job.ended_at:
            return job.state is not JobState.DONE and job.ended_at <= now < job.ended_at + AGAIN
    return False


def _digest(disks: tuple[object, ...], usb: bool) -> str:
    return hashlib.sha256(f"{disks} {usb}".encode()).hexdigest()[:16]


def _asked(ports: Ports, work: UnitOfWork, profile: Profile, *, usb: bool, by: str) -> Job:
    """The caller commits, and pokes."""
    if not profile.instant_clone:
        raise Conflict(
            f"The profile {profile.name} does not want instant clones.", hint=f"labvirt profile set {profile.name} --instant-clone"
        )
    told = "yes" if usb else "no"
    for job in work.jobs.list(unended=True, last=jobs.ALL):
        if job.kind is JobKind.TEMPLATE and job.subject == profile.name and job.arguments.get("usb") == told:
            return job
    disks = disks_of(profile, {image.name: image for image in work.images.list()})
    if isinstance(disks, str):
        raise Conflict(f"The profile {profile.name} cannot be started: {disks}.", hint=f"labvirt profile show {profile.name}")
    lab = next((each for each in sorted(work.labs.list(), key=lambda lab: lab.name) if profile.fits(each.name)), None)
    if lab is None:
        raise Conflict(f"There is no lab for the profile {profile.name}.", hint="labvirt lab add NAME --network 10.77.0.0/24")
    arguments = {"lab": lab.name, "usb": told, "of": _digest(disks, usb)}
    return jobs.enqueue_in(ports, work, JobKind.TEMPLATE, profile.name, by=by, arguments=arguments)


def do_template(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a TEMPLATE job: a guest of the profile booted, was ready, and is a template. Begun again it begins with a new guest.
    Its guest is not wanted afterwards, whatever happens. Raises NotFound, Conflict, Exhausted, DriverError, Cancelled, Interrupted."""
    source = f"job-{task.job.number}"
    with ports.database.write() as work:
        profile, lab = work.profiles.one(task.job.subject), work.labs.one(task.job.arguments["lab"])
        disks = disks_of(profile, {image.name: image for image in work.images.list()})
        if isinstance(disks, str):
            raise Conflict(f"The profile {profile.name} cannot be started: {disks}.", hint=f"labvirt profile show {profile.name}")
        for other in work.guests.list():  # of this job, before it began again
            if other.purpose is Purpose.TEMPLATE and other.source == source:
                specials.release(ports, work, other.name, StopHow.STOP)
        guest = specials.take(ports, work, lab, purpose=Purpose.TEMPLATE, profile=profile.name, disks=disks, source=source)
        name = _next_name(work, profile.name)
        work.commit()
    ports.poke()
    try:
        _Boot(ports=ports, task=task, profile=profile, lab=lab, guest=guest.name, source=source).ready()
        task.step(f"freezing {guest.name} as {name}")
        with task.shield():
            ports.engine.freeze(guest.name, str(name))
    finally:
        with ports.database.write() as work:
            specials.release(ports, work, guest.name, StopHow.STOP, purpose=Purpose.TEMPLATE, source=source)
            work.commit()
        ports.poke()
    with ports.database.write() as work:
        what = f"template {name} made, for instant clones"
        ports.note(work, profile.name, what, verb="build", noun="template")
        work.commit()
    return {"template": str(name)}


def _next_name(work: UnitOfWork, profile: str) -> TemplateName:
    """A number is taken once, whatever becomes of it: clones and kept overlays name it."""
    number = int(work.facts.get(_NUMBER + profile) or 0) + 1
    work.facts.put(_NUMBER + profile, str(number))
    return TemplateName(profile, number)


@dataclass(slots=True, kw_only=True)
class _Boot:
    """The guest of one build, until it is ready: its screen and its serial line have said something and are quiet, and it has nothing to
    do. Frozen before that, it would begin its boot anew in each clone, and take itself for the template."""

    ports: Ports
    task: Task
    profile: Profile
    lab: Lab
    guest: str
    source: str
    began: float = 0.0
    picture: bytes = b""
    heard: str = ""
    quiet_since: float = field(default=float("inf"))
    wanted: tuple[float, float] | None = None
    """At the last look: when, and how much processor time it had wanted till then."""

    def ready(self) -> None:
        """Raises GuestNotReady when it is not within `limits.template_seconds`, or ends."""
        limits, clock = self.ports.limits, self.ports.clock
        self.began = clock.monotonic()
        self.task.step(f"{self.guest}: its machine is being started")
        while not self._runs():
            self._pause("its machine does not run")
        self.task.step(f"{self.guest}: it boots", total=round(limits.template_settle_seconds), unit="seconds")
        with self.ports.trials.overhear(self._folder) as line:
            self.quiet_since = clock.monotonic()
            while not self._settled(line()):
                self._pause("it goes on changing its screen or its serial line, or working" if self._said() else "it shows nothing")
                if not self._runs():
                    raise GuestNotReady(self.guest, "off: its machine ended while it booted")

    def _settled(self, heard: str) -> bool:
        now, wanted = self.ports.clock.monotonic(), self.ports.limits.template_settle_seconds
        try:
            picture = self.ports.engine.screenshot(self.guest)
        except LabVirtError:
            picture = b""
        if heard != self.heard or not self._same(picture) or self._works():
            self.quiet_since = now
        self.picture, self.heard = picture, heard
        quiet = now - self.quiet_since
        self.task.progress(round(min(quiet, wanted)) if self._said() else 0, round(wanted))
        return self._said() and quiet >= wanted

    def _works(self) -> bool:
        """Does its machine want much of a processor since the last look? Not told counts as no."""
        now, before = self.ports.clock.monotonic(), self.wanted
        try:
            seconds = self.ports.engine.demand_seconds(self.guest)
        except LabVirtError:
            seconds = None
        self.wanted = None if seconds is None else (now, seconds)
        return before is not None and seconds is not None and seconds - before[1] > BUSY * (now - before[0])

    def _same(self, picture: bytes) -> bool:
        return picture == self.picture or self.ports.trials.alike(self.picture, picture)

    def _said(self) -> bool:
        """Something is on its screen, or was on its serial line: a machine that shows nothing has not begun to boot."""
        shown = self.ports.trials.look(self.picture)
        return bool(self.heard.strip()) or (shown is not None and not shown.blank)

    def _runs(self) -> bool:
        row = self._row()
        if row.source != self.source or row.purpose is not Purpose.TEMPLATE or specials.is_off(row):
            raise GuestNotReady(self.guest, "off: somebody stopped it")
        if row.state is GuestState.FAILED or row.failures:
            raise GuestNotReady(self.guest, f"not started: {row.reason or 'its machine ended by itself'}")
        return row.ready

    def _pause(self, why: str) -> None:
        limit = self.ports.limits.template_seconds
        if self.ports.clock.monotonic() - self.began > limit:
            raise GuestNotReady(self.guest, f"not ready after {limit} s: {why}")
        self.task.sleep(LOOK_SECONDS)

    def _row(self) -> Guest:
        with self.ports.database.read() as work:
            return work.guests.one(self.guest)

    def _folder(self) -> Path | None:
        run = self._row().run
        folder = self.ports.disks.open_run(run) if run is not None else None
        return folder.path if folder else None
