# SPDX-License-Identifier: MIT
"""Canaries: a sealed version is started with nobody in front of it, and looked at: it runs, gets its lease, opens its port, shows a
picture, and passes the profile's own checks. What was seen stays with the version.

The canary's guest carries the number of its job, and is unwanted afterwards, whatever happens; sessions.mend does that for
a job that was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.trials import TrialGuest
from labvirt.domain.addresses import SEATS_PER_BLOCK
from labvirt.domain.canary import Canary, CanaryStep
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow
from labvirt.domain.image import DiskChoice, Stage, Version, version_words
from labvirt.domain.lab import Lab, SeatIdentity
from labvirt.domain.lease import Lease
from labvirt.domain.names import one_line
from labvirt.domain.placement import disks_of
from labvirt.domain.profile import Profile, Protocol, SlotKind
from labvirt.errors import Cancelled, Conflict, InvalidInput, LabVirtError, NotFound
from labvirt.usecases import specials
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Interrupted, Task

LOOK_SECONDS = 0.5
RDP_PORT = 3389
LOG_LENGTH = 64 << 10


def do_canary(ports: Ports, task: Task) -> Mapping[str, str]:
    """The deed of a CANARY job: the version was tried; a green one is TESTED. A red one is a result, not a failure.
    Raises NotFound, Conflict, Exhausted, Cancelled, Interrupted, DatabaseError."""
    words = task.job.arguments
    with ports.database.read() as work:
        version = work.images.version(words["image"], int(words["number"]))
    if version is None:
        raise NotFound("version", f"{words['image']}:{words['number']}")
    found = trial(ports, task, version, profile=words["profile"], lab=words["lab"])
    return {**version_words(version.image, version.number), "green": "yes" if found.green else "no", "why": found.why_red}


def trial(ports: Ports, task: Task, version: Version, *, profile: str, lab: str) -> Canary:
    """What was seen, durable in the database; a green version is TESTED at least. Its guest is not wanted afterwards, also after a failure.

    At most `limits.canary_seconds`. Raises NotFound (profile, lab), Conflict (the profile's other disks), Exhausted (16 special guests
    run), Cancelled, Interrupted, DatabaseError.
    """
    leases = frozenset(ports.engine.leases(lab))
    with ports.database.write() as work:
        chosen, place = work.profiles.one(profile), work.labs.one(lab)
        task_name = f"job-{task.job.number}"
        for other in work.guests.list():  # of this job, before it began again
            if other.purpose is Purpose.CANARY and other.source == task_name:
                specials.release(ports, work, other.name, StopHow.STOP)
        guest = specials.take(
            ports, work, place, purpose=Purpose.CANARY, profile=profile, disks=_disks(work, chosen, version), source=task_name
        )
        work.commit()
    ports.poke()
    looked = _Trial(ports=ports, task=task, version=version, profile=chosen, lab=place, guest=guest.name, source=task_name, leases=leases)
    try:
        looked.all()
    finally:
        _unwanted(ports, guest.name, task_name)
    return _kept(ports, looked)


def _disks(work: UnitOfWork, profile: Profile, version: Version) -> tuple[DiskChoice, ...]:
    """As a seat would get them if the version were published; where the profile pins it, in the first place of the image."""
    places = [n for n, slot in enumerate(profile.slots) if slot.kind is SlotKind.DISK and slot.image == version.image]
    following = [n for n in places if profile.slots[n].version is None] or places[:1]
    if not following:
        raise InvalidInput("profile", f"{profile.name} has no disk of the image {version.image}")
    slots = tuple(replace(slot, version=version.number) if n in following else slot for n, slot in enumerate(profile.slots))
    found = disks_of(replace(profile, slots=slots), {image.name: image for image in work.images.list()})
    if isinstance(found, str):
        raise Conflict(f"The profile {profile.name} cannot be started: {found}.", hint=f"labvirt profile show {profile.name}")
    return found


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One trial as it goes on."""

    ports: Ports
    task: Task
    version: Version
    profile: Profile
    lab: Lab
    guest: str
    source: str
    leases: frozenset[Lease]
    """What had been given out before: its number was used by others, whose leases prove nothing."""
    steps: list[CanaryStep] = field(default_factory=list)
    picture: bytes = b""
    log: str = ""
    began: float = 0.0
    granted_until: float = float("-inf")

    def all(self) -> None:
        """Step by step, until one is not well. A red one gets its picture too, if there is any."""
        self.began = self.ports.clock.monotonic()
        identity = self.lab.identity(self._row().seat)
        with self._overheard():
            well = (
                self._until("it starts", self._runs)
                and self._until("it gets its lease", lambda: self._leased(identity))
                and self._until(*self._port(identity))
                and self._until("it shows a picture", self._shown)
            )
        if well and self.profile.checks:
            self._checks(identity)
        if not self.picture:
            with suppress(LabVirtError):
                self.picture = self.ports.engine.screenshot(self.guest)

    def seconds_left(self) -> float:
        return self.ports.limits.canary_seconds - (self.ports.clock.monotonic() - self.began)

    def _until(self, name: str, look: Callable[[], tuple[bool | None, str]]) -> bool:
        """`look` gives True (well), False (never will be), or None (not yet), and what it saw."""
        self.task.step(f"canary {self.guest}: {name}")
        began = self.ports.clock.monotonic()
        while True:
            try:
                ok, said = look()
            except Cancelled:
                raise
            except LabVirtError as error:
                ok, said = None, str(error)
            seconds = self.ports.clock.monotonic() - began
            if ok is None and self.seconds_left() <= 0:
                ok, said = False, f"not within {self.ports.limits.canary_seconds} s: {said}" if said else "not in time"
            if ok is not None:
                self._add(CanaryStep(name=name, ok=ok, said=one_line(said), seconds=round(seconds, 1)))
                return ok
            self.task.sleep(LOOK_SECONDS)

    def _add(self, step: CanaryStep) -> None:
        self.steps.append(step)
        self.task.say(f"{'ok' if step.ok else 'NOT OK'}: {step.name}{f' ({step.said})' if step.said else ''}, {step.seconds} s")

    def _row(self) -> Guest:
        with self.ports.database.read() as work:
            return work.guests.one(self.guest)

    def _runs(self) -> tuple[bool | None, str]:
        row = self._row()
        if row.source != self.source or row.purpose is not Purpose.CANARY or specials.is_off(row):
            return False, "somebody stopped it"
        if row.ready:
            return True, f"{row.name}, {self.profile.memory_mib} MiB, {self.profile.cpus} CPU"
        if row.state is GuestState.FAILED or row.failures:
            return False, row.reason or "its machine ended by itself"
        return None, row.reason or str(row.state)

    def _leased(self, identity: SeatIdentity) -> tuple[bool | None, str]:
        if self.lab.foreign_dhcp:
            proof = "nothing proves it" if self.profile.protocol is Protocol.SPICE else "its port there is asked next"
            return True, f"not seen: the campus gives {identity.address}, and {proof}"
        now = self.ports.clock.now()
        given = self.ports.engine.leases(self.lab.name)
        own = [each for each in given if each.mac == identity.mac and each.valid(now) and each not in self.leases]
        if any(each.address == identity.address for each in own):
            return True, f"{identity.address} for {identity.mac}"
        return self._living(f"it has {own[0].address}, not {identity.address}" if own else f"{identity.mac} has asked for none")

    def _port(self, identity: SeatIdentity) -> tuple[str, Callable[[], tuple[bool | None, str]]]:
        name = f"its {self.profile.protocol} port is open"
        if self.profile.protocol is Protocol.SPICE:
            return name, lambda: self._display_answers(identity.display_port)
        return name, lambda: self._answers(identity.address, self.profile.ready_port or RDP_PORT)

    def _display_answers(self, port: int) -> tuple[bool | None, str]:
        """Display ports are closed to everybody, this host too; the engine opens one for a while, as it does for a terminal."""
        gateway = self.lab.network.gateway
        if self.ports.clock.monotonic() >= self.granted_until:
            ticket = self.ports.engine.mint_display(self.guest, gateway)
            self.granted_until = self.ports.clock.monotonic() + ticket.expires_seconds / 2
        return self._answers(gateway, port)

    def _answers(self, address: IPv4Address, port: int) -> tuple[bool | None, str]:
        if self.ports.trials.answers(address, port):
            return True, f"{address}:{port}"
        return self._living(f"{address}:{port} does not answer")

    def _shown(self) -> tuple[bool | None, str]:
        self.picture = self.ports.engine.screenshot(self.guest)
        shown = self.ports.trials.look(self.picture)
        if shown is None:
            return self._living("there is no picture")
        if shown.blank:
            return self._living("its screen has one colour only")
        return True, f"{shown.width} x {shown.height}"

    def _living(self, said: str) -> tuple[bool | None, str]:
        """Not yet; never, if its machine is gone."""
        running, why = self._runs()
        return (None, said) if running else (False, f"{said}, and its machine does not run: {why}")

    def _checks(self, identity: SeatIdentity) -> None:
        many = len(self.profile.checks)
        self.task.step(f"canary {self.guest}: {many} check file{'s' if many != 1 else ''} of {self.profile.name}")
        report = self.ports.trials.run_checks(
            self.profile.name,
            self.profile.checks,
            TrialGuest(
                name=self.guest,
                address=identity.address,
                mac=str(identity.mac),
                folder=self._folder() or Path("/nonexistent"),
                uid=self._uid(identity),
                screenshot=lambda: self.ports.engine.screenshot(self.guest),
            ),
            seconds=max(1.0, self.seconds_left()),
            cancelled=self._unwanted_now,
        )
        self.task.sleep(0)  # raises when that is why it ended
        for step in report.steps:
            self._add(step)
        self.log = f"{self.log}\n--- checks\n{report.log}" if report.log else self.log

    def _unwanted_now(self) -> bool:
        try:
            self.task.sleep(0)
        except (Cancelled, Interrupted):
            return True
        return False

    def _folder(self) -> Path | None:
        run = self._row().run
        folder = self.ports.disks.open_run(run) if run is not None else None
        return folder.path if folder else None

    def _uid(self, identity: SeatIdentity) -> int | None:
        """As the engine counts guests' users (engine/recording.py)."""
        base = self.ports.limits.guest_uid_base
        return None if base is None else base + self.lab.block * SEATS_PER_BLOCK + identity.seat

    @contextmanager
    def _overheard(self) -> Iterator[None]:
        """What its serial line says meanwhile is in the log."""
        with self.ports.trials.overhear(self._folder) as heard:
            try:
                yield
            finally:
                self.log = heard()


def _unwanted(ports: Ports, name: str, source: str) -> None:
    with ports.database.write() as work:
        specials.release(ports, work, name, StopHow.STOP, purpose=Purpose.CANARY, source=source)
        work.commit()
    ports.poke()


def _kept(ports: Ports, looked: _Trial) -> Canary:
    version, name = looked.version, ""
    if ports.trials.look(looked.picture) is not None:
        name = f"{version.image}.v{version.number}.png"
        ports.trials.keep_picture(name, looked.picture)
    found = Canary(
        image=version.image,
        version=version.number,
        profile=looked.profile.name,
        at=ports.clock.now(),
        seconds=round(ports.clock.monotonic() - looked.began, 1),
        steps=tuple(looked.steps),
        picture=name,
        log=looked.log[-LOG_LENGTH:],
    )
    with ports.database.write() as work:
        row = work.images.version(version.image, version.number)
        if row is None:
            raise NotFound("version", f"{version.image}:{version.number}")
        work.canaries.put(found)
        if found.green and row.stage is Stage.DRAFT:
            work.images.update_version(replace(row, stage=Stage.TESTED))
        colour = "green" if found.green else f"red: {one_line(found.why_red)}"
        ports.note(work, version.image, f"canary of version {version.number}: {colour}", verb="try", noun="version")
        work.commit()
    return found
