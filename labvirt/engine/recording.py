# SPDX-License-Identifier: MIT
"""The wish before the act: profile, versions and run of a start, chosen and written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.disks import RunDisk
from labvirt.domain.addresses import SEATS_PER_BLOCK
from labvirt.domain.audit import of_guest
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, RunId, Wish
from labvirt.domain.image import DiskChoice, chain_of
from labvirt.domain.lab import Lab, SeatIdentity
from labvirt.domain.profile import Profile
from labvirt.domain.terminal import Terminal
from labvirt.engine.world import World
from labvirt.errors import Exhausted, ImageDamaged, NotFound
from labvirt.usecases import asking, settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What will be started: decided once, written down, not looked up again."""

    guest: Guest
    run: RunId
    lab: Lab
    identity: SeatIdentity
    profile: Profile
    disks: tuple[RunDisk, ...]
    uid: int | None
    terminal: str | None = None
    """Name of the seat's terminal."""
    usb: bool = False
    """The terminal may hand its USB sticks over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """What it is made of: a profile and the version of each of its disks, or why not (`profile` None)."""

    profile: Profile | None = None
    choices: tuple[DiskChoice, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It cannot be started, and trying again does not help."""

    generation: int
    why: str


def hands_sticks_over(work: UnitOfWork, terminal: Terminal | None) -> bool:
    """What the setting `usb` says for the seat's terminal as its guest starts; never without one."""
    return terminal is not None and any(each.setting.key == "usb" and each.value == "on" for each in settings.of_terminal(work, terminal))


def record(world: World, name: str, generation: int) -> Recording | Refused | None:
    """The guest is STARTING with a run of its own, durable when this returns. Every try has its own run (and generation), so that
    nothing of an earlier try can be taken for it. None: the wish has moved on. Raises DatabaseError."""
    now = world.clock.now()
    with world.database.write() as work:
        row = work.guests.get(name)
        if row is None or row.generation != generation or row.wish is not Wish.RUNNING:
            return None
        if row.state not in (GuestState.WANTED, GuestState.STARTING):
            return None
        made = expected(world, work, row)
        if isinstance(made, Refused):
            return made
        guest = replace(
            row.moved(GuestState.STARTING, now, "it is being started"),
            generation=made.run.generation,
            run=made.run,
            profile=made.profile.name,
            disks=made.guest.disks,
            host=world.settings.host if work.hosts.get(world.settings.host) else None,
            started_at=now,
            running_at=None,
            origin="",
        )
        if guest.due is Due.FRESH:
            guest = guest.with_due(None, None)  # this is a fresh run
        work.guests.update(guest)
        work.audit.add(of_guest(now, name, row.lab, f"is being started as {made.run} ({made.profile.name})", verb="start"))
        work.commit()
    return replace(made, guest=guest)


def expected(world: World, work: UnitOfWork, row: Guest) -> Recording | Refused:
    """What is recorded for this wanted row now: nothing is written, and the guest in it has what it is made of and its run, but was not
    moved."""
    generation = row.generation
    lab = work.labs.get(row.lab)
    if lab is None:
        return Refused(generation=generation, why=f"the lab {row.lab} does not exist")
    try:
        identity = lab.identity(row.seat)
    except Exhausted as error:
        return Refused(generation=generation, why=str(error))
    chosen = _by_placement(work, lab, row) if row.purpose is Purpose.SEAT else _as_fixed(work, row)
    disks = _disks(work, row, chosen.choices) if chosen.profile is not None else chosen.why
    if chosen.profile is None or isinstance(disks, str):
        return Refused(generation=generation, why=chosen.why or str(disks))
    if row.run is not None and row.run.generation >= generation:
        generation += 1
    terminal = work.terminals.at_seat(lab.name, row.seat)
    run = RunId(row.name, generation)
    return Recording(
        guest=replace(row, run=run, profile=chosen.profile.name, disks=chosen.choices),
        run=run,
        lab=lab,
        identity=identity,
        profile=chosen.profile,
        disks=disks,
        uid=guest_uid(world, lab, row.seat),
        terminal=terminal.name if terminal else None,
        usb=hands_sticks_over(work, terminal) if row.purpose is not Purpose.TEMPLATE else _template_usb(work, row),
    )


def _by_placement(work: UnitOfWork, lab: Lab, row: Guest) -> _Chosen:
    choice = asking.choose(work, lab, work.terminals.at_seat(lab.name, row.seat), row.seat)
    if choice.profile is None:
        return _Chosen(why=asking.refusal_of(choice))
    return _Chosen(profile=choice.profile, choices=choice.disks)


def _as_fixed(work: UnitOfWork, row: Guest) -> _Chosen:
    """Who wanted a special guest has fixed both in its row."""
    profile = work.profiles.get(row.profile) if row.profile else None
    if profile is None:
        return _Chosen(why=f"its profile {row.profile} does not exist")
    if row.purpose is Purpose.TEMPLATE:
        profile = replace(profile, ready_port=None)  # it has no network yet: whoever wants it sees when it is ready
    return _Chosen(profile=profile, choices=row.disks)


def _template_usb(work: UnitOfWork, row: Guest) -> bool:
    """As its job says (usecases.templates): its clones have the same devices."""
    number = row.source.removeprefix("job-")
    try:
        return number.isdigit() and work.jobs.one(int(number)).arguments.get("usb") == "yes"
    except NotFound:
        return False


def _disks(work: UnitOfWork, row: Guest, choices: tuple[DiskChoice, ...]) -> tuple[RunDisk, ...] | str:
    """What each overlay stands on, or the sentence that says what is missing."""
    draft = work.drafts.get(row.source) if row.purpose is Purpose.ADMIN else None
    if row.purpose is Purpose.ADMIN and (draft is None or draft.state is not DraftState.OPEN):
        return f"its draft {row.source} is {draft.state if draft else 'gone'}"
    kept = RunId.parse(row.source) if row.purpose is Purpose.RESCUE else None
    disks = []
    for choice in choices:
        version = work.images.version(choice.image, choice.version)
        if version is None:
            return f"{choice.image} v{choice.version} does not exist"
        try:
            chain = chain_of(version, work.images.versions(choice.image))
        except ImageDamaged as error:
            return str(error).rstrip(".")
        own = draft.name if draft is not None and draft.place == choice.place else None
        disks.append(RunDisk(place=choice.place, chain=chain, draft=own, kept=kept))
    if draft is not None and not any(disk.draft for disk in disks):
        return f"its draft {draft.name} is for a disk that the profile does not have"
    return tuple(disks)


def guest_uid(world: World, lab: Lab, seat: int) -> int | None:
    """The user a guest runs as: one of its own on this host; None: the engine's."""
    base = world.settings.guest_uid_base
    return None if base is None else base + lab.block * SEATS_PER_BLOCK + seat
