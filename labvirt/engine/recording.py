# SPDX-License-Identifier: MIT
"""The wish before the act: profile, versions and run of a start, chosen and written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labvirt.contracts.database import HistoryEntry
from labvirt.domain.addresses import SEATS_PER_BLOCK
from labvirt.domain.guest import Guest, GuestState, RunId, Wish
from labvirt.domain.image import Version
from labvirt.domain.lab import Lab, SeatIdentity
from labvirt.domain.profile import Profile
from labvirt.engine.world import World
from labvirt.errors import Exhausted
from labvirt.usecases import asking


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What will be started: decided once, written down, not looked up again."""

    guest: Guest
    run: RunId
    lab: Lab
    identity: SeatIdentity
    profile: Profile
    versions: tuple[tuple[int, Version], ...]
    uid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It cannot be started, and trying again does not help."""

    generation: int
    why: str


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
        lab = work.labs.get(row.lab)
        if lab is None:
            return Refused(generation=generation, why=f"the lab {row.lab} does not exist")
        try:
            identity = lab.identity(row.seat)
        except Exhausted as error:
            return Refused(generation=generation, why=str(error))
        choice = asking.choose(work, lab, work.terminals.at_seat(lab.name, row.seat))
        if choice.profile is None:
            return Refused(generation=generation, why=asking.refusal_of(choice))
        versions = []
        for disk in choice.disks:
            version = work.images.version(disk.image, disk.version)
            if version is None:
                return Refused(generation=generation, why=f"{disk.image} v{disk.version} does not exist")
            versions.append((disk.place, version))
        if row.run is not None and row.run.generation >= generation:
            generation += 1
        run = RunId(name, generation)
        guest = replace(
            row.moved(GuestState.STARTING, now, "it is being started"),
            generation=generation,
            run=run,
            profile=choice.profile.name,
            disks=choice.disks,
            host=world.settings.host if work.hosts.get(world.settings.host) else None,
            started_at=now,
            running_at=None,
        )
        work.guests.update(guest)
        work.history.add(HistoryEntry(at=now, subject=name, what=f"is being started as {run} ({choice.profile.name})"))
        work.commit()
    return Recording(
        guest=guest,
        run=run,
        lab=lab,
        identity=identity,
        profile=choice.profile,
        versions=tuple(versions),
        uid=guest_uid(world, lab, row.seat),
    )


def guest_uid(world: World, lab: Lab, seat: int) -> int | None:
    """The user a guest runs as: one of its own on this host; None: the engine's."""
    base = world.settings.guest_uid_base
    return None if base is None else base + lab.block * SEATS_PER_BLOCK + seat
