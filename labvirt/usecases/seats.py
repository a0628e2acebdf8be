# SPDX-License-Identifier: MIT
"""Seats and versions: which one each running seat has, which it takes at its next start, and restarting those that have an old one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain import placement
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, Wish
from labvirt.domain.image import DiskChoice
from labvirt.domain.lab import Lab
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.errors import InvalidInput
from labvirt.usecases import draining, whose
from labvirt.usecases.draining import clock_time
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible

LONGEST_GRACE = 86400

Chooser = Callable[[Lab, Terminal | None, Guest | None], placement.Choice]
"""What placement says for this seat now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatVersions:
    """A living guest of a seat: what it runs from, and what its next start would take (empty, with `why_not`: nothing can be started)."""

    guest: str
    lab: str
    seat: int
    terminal: str | None
    state: GuestState
    profile: str | None
    now: tuple[DiskChoice, ...]
    next_profile: str | None
    next: tuple[DiskChoice, ...]
    why_not: str
    due: Due | None
    due_at: datetime | None
    notice: str

    @property
    def is_old(self) -> bool:
        """Would its next start be from other versions (or another profile)?"""
        return not self.why_not and (self.now != self.next or self.profile != self.next_profile)

    @property
    def words(self) -> str:
        """'tiny v12, v13 at next start'."""
        return version_words(self.now, self.next)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatRestart:
    """What a bulk restart does to one seat. `at` None: nothing, and `why` says why; else when it gets a fresh run (now: at once)."""

    guest: str
    versions: SeatVersions
    at: datetime | None
    why: str


@needs(Right.LOOK, each=True, lab="lab")
def versions(ports: Ports, *, lab: str | None = None) -> tuple[SeatVersions, ...]:
    """All living guests of seats, by name. Raises NotFound (lab)."""
    with ports.database.read() as work:
        return visible(ports, _versions(work, lab), lambda seat: whose.guest(work, seat.guest))


@needs(Right.OPERATE, lab="lab", image="image")
def restart_old(
    ports: Ports, *, lab: str | None = None, image: str | None = None, grace_seconds: int = 300, by: str, dry_run: bool = False
) -> tuple[SeatRestart, ...]:
    """Every living seat that has an old version (of `image`, if given) gets a fresh run: at once if nobody is connected, else after the
    grace, and whoever sits there is told. Seats that run what they would get are not among the result. Doing it again changes nothing
    for those that were told. `dry_run` only says it. Raises NotFound, InvalidInput, DatabaseError.
    """
    if not 0 <= grace_seconds <= LONGEST_GRACE:
        raise InvalidInput("grace", f"must be 0 to {LONGEST_GRACE} seconds")
    with ports.database.write() as work:
        if image is not None:
            work.images.one(image)
        now = ports.clock.now()
        found = []
        for seen in _versions(work, lab):
            guest = work.guests.one(seen.guest)
            if not _concerned(seen, image):
                continue
            restart = _decide(seen, guest, now, grace_seconds)
            found.append(restart)
            if dry_run or restart.at is None or guest.due is not None:
                continue
            if restart.at <= now:
                work.guests.update(replace(guest.wanted(now, fresh=True), cdrom="", boot_cdrom=False))
                ports.note(work, guest.name, f"a fresh run was wanted by {by}: {seen.words}", verb="restart", noun="guest", lab=guest.lab)
            else:
                notice = one_line(
                    f"This computer is started afresh at {clock_time(restart.at)} with a newer system. Please save your work."
                )
                work.guests.update(guest.with_due(Due.FRESH, restart.at, notice))
                ports.note(
                    work,
                    guest.name,
                    f"told that it is started afresh at {clock_time(restart.at)}, by {by}: {seen.words}",
                    verb="restart",
                    noun="guest",
                    lab=guest.lab,
                )
        if not dry_run:
            work.commit()
    if not dry_run:
        ports.poke()
    return tuple(found)


def chooser(work: UnitOfWork) -> Chooser:
    """Placement with everything read once: a lab of a thousand seats asks it a thousand times."""
    profiles, images = work.profiles.list(), {image.name: image for image in work.images.list()}
    held = draining.held(work)
    bounded = any(profile.max_guests is not None for profile in profiles)
    guests = work.guests.list() if bounded else ()
    counts = Counter(guest.profile for guest in guests if counts_for(guest) and guest.profile is not None)

    def choose(lab: Lab, terminal: Terminal | None, guest: Guest | None) -> placement.Choice:
        others = dict(counts)
        if bounded and guest is not None and guest.profile is not None and counts_for(guest):
            others[guest.profile] -= 1
        return placement.choose(lab, terminal, profiles, images, held=held, guests=others)

    return choose


def counts_for(guest: Guest) -> bool:
    """Does it take one of the places that a profile's `max_guests` gives? As asking.choose counts."""
    return guest.alive or guest.state in (GuestState.WANTED, GuestState.STARTING, GuestState.STOPPING)


def version_words(now: tuple[DiskChoice, ...], later: tuple[DiskChoice, ...]) -> str:
    """'tiny v12, v13 at next start': each disk's image and version, and what will be another one next time."""
    coming = {disk.place: disk for disk in later}
    words = []
    for disk in now:
        after = coming.get(disk.place)
        said = f"{disk.image} v{disk.version}"
        if after is not None and after != disk:
            said += f", v{after.version} at next start" if after.image == disk.image else f", {after.image} v{after.version} at next start"
        words.append(said)
    return "; ".join(words)


def _versions(work: UnitOfWork, lab: str | None) -> tuple[SeatVersions, ...]:
    labs = {each.name: each for each in ((work.labs.one(lab),) if lab is not None else work.labs.list())}
    terminals = {(each.lab, each.seat): each for each in work.terminals.list()}
    choose = chooser(work)
    found = []
    for guest in work.guests.list():
        place = labs.get(guest.lab)
        if place is None or guest.purpose is not Purpose.SEAT or not guest.alive:
            continue
        terminal = terminals.get((guest.lab, guest.seat))
        choice = choose(place, terminal, guest)
        found.append(
            SeatVersions(
                guest=guest.name,
                lab=guest.lab,
                seat=guest.seat,
                terminal=terminal.name if terminal else guest.terminal,
                state=guest.state,
                profile=guest.profile,
                now=guest.disks,
                next_profile=choice.profile.name if choice.profile else None,
                next=choice.disks,
                why_not=""
                if choice.profile
                else "; ".join(f"{each.profile}: {each.why}" for each in choice.verdicts) or "there is no profile",
                due=guest.due,
                due_at=guest.due_at,
                notice=guest.notice,
            )
        )
    return tuple(found)


def _concerned(seen: SeatVersions, image: str | None) -> bool:
    """Old, or of no use to ask: nothing can be started there now. `image`: only those whose disks from it differ."""
    if image is not None and not any(disk.image == image for disk in (*seen.now, *seen.next)):
        return False
    if seen.why_not:
        return True
    if image is None:
        return seen.is_old
    of = [[disk for disk in disks if disk.image == image] for disks in (seen.now, seen.next)]
    return of[0] != of[1]


def _decide(seen: SeatVersions, guest: Guest, now: datetime, grace_seconds: int) -> SeatRestart:
    def say(at: datetime | None, why: str) -> SeatRestart:
        return SeatRestart(guest=guest.name, versions=seen, at=at, why=why)

    if guest.wish is not Wish.RUNNING:
        return say(None, "it is being stopped")
    if seen.why_not:
        return say(None, f"it could not be started again ({seen.why_not})")
    if guest.due is not None:
        doing = "started afresh" if guest.due is Due.FRESH else "stopped"
        return say(guest.due_at if guest.due is Due.FRESH else None, f"it is told already that it is {doing} then")
    if guest.state is GuestState.CONNECTED:
        if grace_seconds == 0:
            return say(now, "somebody is connected, and there is no grace")
        return say(now + timedelta(seconds=grace_seconds), "somebody is connected and is told")
    return say(now, "nobody is connected")
