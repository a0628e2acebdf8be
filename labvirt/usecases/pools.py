# SPDX-License-Identifier: MIT
"""Warm pools: how many desktops of a lab, of one profile, are to wait, and how many do. The engine makes, serves and renews them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.engine import PoolStatus
from labvirt.domain.audit import changed
from labvirt.domain.lab import Lab
from labvirt.domain.pool import KEPT_MINUTES, Pool, SpareKind
from labvirt.domain.profile import Profile
from labvirt.domain.right import Right
from labvirt.errors import EngineAway, InvalidInput
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import must_see, needs


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """A pool as it is wanted, and as it is. `now` is None while nobody can say: the engine is away."""

    pool: Pool
    now: PoolStatus | None


@needs(Right.LOOK, lab="lab")
def of_lab(ports: Ports, lab: str) -> tuple[Pool, ...]:
    """As they are wanted, by profile. Raises NotFound."""
    with ports.database.read() as work:
        return work.pools.of_lab(work.labs.one(lab).name)


@needs(Right.LOOK, lab="lab")
def one(ports: Ports, lab: str, profile: str) -> Pool:
    """Where there is none: one of which nothing waits. Raises NotFound (lab, profile)."""
    with ports.database.read() as work:
        return _one(ports, work, lab, profile)


@needs(Right.LOOK, lab="lab")
def report(ports: Ports, lab: str) -> tuple[PoolStatus, ...]:
    """What waits now, by profile. Raises NotFound, EngineAway, DatabaseError."""
    with ports.database.read() as work:
        work.labs.one(lab)
    return tuple(each for each in ports.engine.pools() if each.lab == lab)


@needs(Right.LOOK, lab="lab")
def views(ports: Ports, lab: str) -> tuple[PoolView, ...]:
    """Both beside each other, by profile; a pool that the engine has not seen yet has nothing waiting. Raises NotFound, DatabaseError."""
    wanted = of_lab(ports, lab)
    try:
        found = {each.profile: each for each in report(ports, lab)}
    except EngineAway:
        return tuple(PoolView(pool=each, now=None) for each in wanted)
    return tuple(PoolView(pool=each, now=found.get(each.profile, PoolStatus(lab=lab, profile=each.profile))) for each in wanted)


@needs(Right.DESIGN, lab="lab")
def put(ports: Ports, lab: str, profile: str, *, ready: int = 0, paused: int = 0, prespawned: int = 0, minutes: int = KEPT_MINUTES) -> Pool:
    """The pool is exactly this; with no count there is none. Raises NotFound (lab, profile), InvalidInput (the profile is not for this
    lab; more would wait than the lab has seats; a clone is to wait of a profile that wants none)."""
    with ports.database.write() as work:
        old = _one(ports, work, lab, profile)
        new = replace(old, ready=ready, paused=paused, prespawned=prespawned, minutes=minutes)
        if new.total:
            _check(work, work.labs.one(lab), work.profiles.one(profile), old, new)
        else:
            new = Pool(lab=lab, profile=profile)
        _keep(ports, work, old, new)
        work.commit()
    ports.poke()
    return new


@needs(Right.DESIGN, lab="lab")
def remove(ports: Ports, lab: str, profile: str) -> None:
    """There is none, and nothing of it waits any more. Raises NotFound (lab, profile)."""
    with ports.database.write() as work:
        old = _one(ports, work, lab, profile)
        _keep(ports, work, old, Pool(lab=lab, profile=profile))
        work.commit()
    ports.poke()


def _one(ports: Ports, work: UnitOfWork, lab: str, profile: str) -> Pool:
    work.labs.one(lab)
    must_see(ports, work, "profile", profile)
    return work.pools.get(lab, work.profiles.one(profile).name) or Pool(lab=lab, profile=profile)


def _check(work: UnitOfWork, lab: Lab, profile: Profile, old: Pool, pool: Pool) -> None:
    if profile.labs and lab.name not in profile.labs:
        raise InvalidInput("profile", f"{profile.name} is not for the lab {lab.name}", hint=f"labvirt profile show {profile.name}")
    if not profile.active:
        raise InvalidInput(
            "profile", f"{profile.name} is not active: nobody starts from it", hint=f"labvirt profile set {profile.name} --active"
        )
    for kind in (SpareKind.PAUSED, SpareKind.PRESPAWNED):
        if pool.count(kind) and not profile.instant_clone:
            raise InvalidInput(
                kind,
                f"only an instant clone can wait like this, and the profile {profile.name} does not want them",
                hint=f"labvirt profile set {profile.name} --instant-clone",
            )
    others = sum(each.total for each in work.pools.of_lab(lab.name) if each.profile != profile.name)
    if others + pool.total > lab.max_instances:
        kind = max(SpareKind, key=lambda each: pool.count(each) - old.count(each))  # what has grown most
        left = max(0, lab.max_instances - others)
        raise InvalidInput(
            kind,
            f"all three together are more than the {left} seats of {lab.name} that are left for this pool",
            hint=f"Its other pools: labvirt pool list {lab.name}",
        )


def _keep(ports: Ports, work: UnitOfWork, old: Pool, new: Pool) -> None:
    """The caller commits."""
    if new == old:
        return
    if new.total:
        work.pools.put(new)
    else:
        work.pools.remove(new.lab, new.profile)
    before, after = changed(old, new)
    what = (
        f"warm pool of {new.profile}: {new.ready} ready, {new.paused} paused, {new.prespawned} prespawned, for {new.minutes} minutes"
        if new.total
        else f"warm pool of {new.profile} removed"
    )
    ports.note(work, new.lab, what, verb="change", noun="lab", lab=new.lab, before=before, after=after)
