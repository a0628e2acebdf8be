# SPDX-License-Identifier: MIT
"""What is done now so that each warm pool has what it should: which spares go and why, which were taken, and whose are made. Pure.

Seats that are likeliest to be asked for come first (`Seat.rank`), and of the kinds the one that is served soonest. Nothing is made while
somebody waits for a start, and what waits is the first thing that a host short of memory gives up: a start without it is only slower.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from labvirt.domain.guest import Guest, GuestState, RunId, Wish
from labvirt.domain.image import DiskChoice
from labvirt.domain.pool import Pool, Spare, SpareKind

IN_USE = "the other seats are in use"
"""Why a pool has fewer than it should on an ordinary day."""

AT_ONCE = 2
"""Spares that are made at the same time: the pool is in no hurry, and whoever comes meanwhile is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A seat of a lab that has a pool. `profile` and `disks` are what its next start would be of (None: nothing), `template` what a
    clone of it would begin from now (empty: no template serves, `untold` says why)."""

    lab: str
    number: int
    guest: str
    row: Guest | None
    profile: str | None
    disks: tuple[DiskChoice, ...] = ()
    template: str = ""
    untold: str = ""
    rank: int = 0
    active: bool = True
    """It has a terminal that may ask: nobody comes to any other."""

    @property
    def next_run(self) -> RunId:
        """What its next start will be called, should nothing come in between."""
        return RunId(self.guest, self.row.generation + 1 if self.row else 1)

    @property
    def is_free(self) -> bool:
        """Nothing of it runs, and nobody wants it."""
        return self.active and (self.row is None or (self.row.wish is Wish.STOPPED and self.row.state is GuestState.STOPPED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    spare: Spare
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    seat: Seat
    kind: SpareKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`spares` is all that is written down, `waiting` those clones of them that live and are held; `taken` guests that somebody sits
    in front of. `busy`: something is being done to these guests. Sentences without a full stop: `scarce`, why what waits must go;
    `occupied`, why nothing is made now; `resting`, why nothing is made now for one (lab, profile)."""

    now: datetime
    pools: tuple[Pool, ...]
    seats: tuple[Seat, ...]
    spares: tuple[Spare, ...]
    waiting: frozenset[RunId]
    taken: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    making: Mapping[str, Fill] = field(default_factory=dict)
    """By guest: what is being made, and may not be written down yet."""
    scarce: str = ""
    occupied: str = ""
    resting: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """`forgotten` are spares of which nothing is left, or which have become their seats' ordinary runs; `taken` those that have just served
    somebody. `holds`: (lab, profile) -> why there are fewer than wanted, where it is not only a question of time."""

    drops: tuple[Drop, ...] = ()
    taken: tuple[Spare, ...] = ()
    forgotten: tuple[Spare, ...] = ()
    fills: tuple[Fill, ...] = ()
    holds: Mapping[tuple[str, str], str] = field(default_factory=dict)


def plan_pools(seen: Seen) -> PoolPlan:
    """The same twice when nothing has changed: who carries it out writes down what was done."""
    seats = {seat.guest: seat for seat in seen.seats}
    pools = {(pool.lab, pool.profile): pool for pool in seen.pools}
    drops, taken, forgotten = [], [], []
    kept: dict[tuple[str, str, SpareKind], list[Spare]] = defaultdict(list)
    for spare in seen.spares:
        seat = seats.get(spare.run.guest)
        if spare.run.guest in seen.busy:
            kept[spare.lab, spare.profile, spare.kind].append(spare)
            continue
        if (seat is None or not _is_ready(seat, spare)) if spare.kind is SpareKind.READY else _has_served(seat, spare):
            forgotten.append(spare)
            continue
        if spare.kind is SpareKind.READY and seat is not None and _is_taken(seat, seen):
            taken.append(spare)
            continue
        why = _unfit(spare, seat, pools.get((spare.lab, spare.profile)), seen)
        if why:
            drops.append(Drop(spare=spare, why=why))
        else:
            kept[spare.lab, spare.profile, spare.kind].append(spare)
    for (lab, profile, kind), own in kept.items():
        pool = pools.get((lab, profile))
        surplus = len(own) - (pool.count(kind) if pool else 0)
        if surplus > 0:
            own.sort(key=lambda spare: (seats[spare.run.guest].rank if spare.run.guest in seats else 0, spare.since))
            gone = [spare for spare in own[-surplus:] if spare.run.guest not in seen.busy]
            drops += [Drop(spare=spare, why="its pool is smaller now") for spare in gone]
    counts = Counter({key: len(own) for key, own in kept.items()})
    written = {spare.run.guest for spare in seen.spares}
    counts.update((fill.seat.lab, fill.seat.profile or "", fill.kind) for guest, fill in seen.making.items() if guest not in written)
    fills, holds = _fills(seen, counts, room=AT_ONCE - sum(fill.kind is not SpareKind.READY for fill in seen.making.values()))
    return PoolPlan(drops=tuple(drops), taken=tuple(taken), forgotten=tuple(forgotten), fills=fills, holds=holds)


def _is_ready(seat: Seat, spare: Spare) -> bool:
    """Does its guest still run, or start, because of this spare?"""
    row = seat.row
    return row is not None and row.wish is Wish.RUNNING and row.state is not GuestState.FAILED and row.generation == spare.run.generation


def _has_served(seat: Seat | None, spare: Spare) -> bool:
    """Has it become its seat's run?"""
    return seat is not None and seat.row is not None and seat.row.run == spare.run


def _is_asked_for(seat: Seat, spare: Spare) -> bool:
    """Does its seat wait for the very start that will take it?"""
    row = seat.row
    return row is not None and row.wish is Wish.RUNNING and row.generation == spare.run.generation


def _is_taken(seat: Seat, seen: Seen) -> bool:
    return seat.guest in seen.taken or (seat.row is not None and seat.row.state is GuestState.CONNECTED)


def _unfit(spare: Spare, seat: Seat | None, pool: Pool | None, seen: Seen) -> str:
    """Why it does not serve any more, as a sentence without a full stop; empty when it does."""
    if seat is None or pool is None or not pool.count(spare.kind):
        return "its pool has no place for it any more"
    if seat.profile != spare.profile or not seat.active:
        return "its seat would start something else now"
    if seen.now - spare.since > pool.age:
        return f"it has waited for {pool.minutes} minutes"
    if spare.kind is SpareKind.READY:
        return "there is a newer version" if seat.row is not None and seat.row.disks and seat.row.disks != seat.disks else ""
    if spare.run not in seen.waiting:
        return "its process has ended"
    if _is_asked_for(seat, spare):
        return ""
    if seat.next_run != spare.run or not seat.is_free:
        return "its seat was started in another way"
    if seat.template != spare.template:
        return "there is a newer template" if seat.template else seat.untold
    return seen.scarce


def _fills(seen: Seen, counts: Counter[tuple[str, str, SpareKind]], *, room: int) -> tuple[tuple[Fill, ...], dict[tuple[str, str], str]]:
    fills: list[Fill] = []
    holds: dict[tuple[str, str], str] = {}
    taken = {spare.run.guest for spare in seen.spares} | seen.making.keys() | seen.busy
    for pool in seen.pools:
        short = {kind: pool.count(kind) - counts[pool.lab, pool.profile, kind] for kind in SpareKind}
        if all(missing <= 0 for missing in short.values()):
            continue
        if why := seen.scarce or seen.occupied or seen.resting.get((pool.lab, pool.profile), ""):
            holds[pool.lab, pool.profile] = why
            continue
        free = sorted(
            (seat for seat in seen.seats if _may_have(seat, pool) and seat.guest not in taken),
            key=lambda seat: (seat.rank, seat.number),
        )
        for kind in SpareKind:
            for _ in range(short[kind]):
                if not free:
                    holds[pool.lab, pool.profile] = _lacks_seats(seen, pool)
                    break
                if kind is not SpareKind.READY and not free[0].template:
                    holds[pool.lab, pool.profile] = free[0].untold
                    break
                seat = free.pop(0)
                if room > 0:
                    room -= 1
                    fills.append(Fill(seat=seat, kind=kind))
    return tuple(fills), holds


def _lacks_seats(seen: Seen, pool: Pool) -> str:
    able = sum(seat.lab == pool.lab and seat.profile == pool.profile and seat.active for seat in seen.seats)
    if able < pool.total:
        return f"it is for {pool.total} seats, and {able} have a terminal that would start {pool.profile}"
    return IN_USE


def _may_have(seat: Seat, pool: Pool) -> bool:
    return seat.lab == pool.lab and seat.profile == pool.profile and seat.is_free
