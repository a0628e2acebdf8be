# SPDX-License-Identifier: MIT
"""Warm pools on this host: spares are made, kept, given to their seats and cleared away; what is due is decided in domain.pool_plan.

A spare is written down before anything of it is made, and until nothing of it is left. Those that wait are this process's: what an engine
that died has left is cleared away like one whose process ended.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from labvirt.contracts.engine import PoolStatus
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.audit import of_guest
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow
from labvirt.domain.host import full
from labvirt.domain.pool import Pool, Spare, SpareKind
from labvirt.domain.pool_plan import IN_USE, Drop, Fill, PoolPlan, Seen, plan_pools
from labvirt.domain.template import TemplateName
from labvirt.engine.making import Made, is_still_meant, make_files
from labvirt.engine.observe import Wishes
from labvirt.engine.operations import Operations
from labvirt.engine.pool_seats import seats_of
from labvirt.engine.recording import Recording, Refused, expected
from labvirt.engine.rows import Rows
from labvirt.engine.templates import HostTemplates
from labvirt.engine.world import World
from labvirt.errors import LabVirtError, TemplateUnfit

log = logging.getLogger(__name__)

SHORT_SECONDS = 120.0

AGAIN_SECONDS = 30.0
"""After a spare of a pool could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A clone that waits, and all that its start needs."""

    spare: Spare
    template: KeptTemplate
    made: Made


class Spares:
    """`look` is called by the loop, `claim` and `served` by workers, the rest by any thread."""

    def __init__(
        self, world: World, rows: Rows, operations: Operations, templates: HostTemplates, rank: Callable[[], Callable[[Guest], int]]
    ) -> None:
        """`rank` says who has somebody in front (engine.attending)."""
        self._world = world
        self._rows = rows
        self._operations = operations
        self._templates = templates
        self._rank = rank
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._ready: frozenset[str] = frozenset()
        self._taken: set[str] = set()
        self._making: dict[str, Fill] = {}
        self._served: Counter[tuple[str, str, str]] = Counter()
        self._refills: dict[tuple[str, str], float] = {}
        self._again: dict[tuple[str, str], tuple[float, str]] = {}
        self._plan = PoolPlan()
        self._short: dict[tuple[str, str], tuple[str, float]] = {}

    # --- from any thread

    def taken(self, guest: str) -> bool:
        """Somebody sits in front of it now. Was it a spare until then?"""
        with self._lock:
            if guest not in self._ready or guest in self._taken:
                return False
            self._taken.add(guest)
            return True

    def report(self) -> tuple[PoolStatus, ...]:
        """See contracts.engine: pools."""
        with self._world.database.read() as work:
            pools, spares = work.pools.list(), work.spares.list()
            ready = {spare.run.guest for spare in spares if (row := work.guests.get(spare.run.guest)) is not None and row.ready}
        living = self._waiting()
        with self._lock:
            served, plan, refills = Counter(self._served), self._plan, dict(self._refills)
        return tuple(
            PoolStatus(
                lab=pool.lab,
                profile=pool.profile,
                waiting=tuple((kind, _count(pool, kind, spares, living, ready)) for kind in SpareKind),
                served=tuple(sorted((how, n) for (lab, profile, how), n in served.items() if (lab, profile) == (pool.lab, pool.profile))),
                holds=plan.holds.get((pool.lab, pool.profile), ""),
                last_refill_seconds=refills.get((pool.lab, pool.profile)),
            )
            for pool in pools
        )

    def findings(self) -> tuple[Finding, ...]:
        """Pools that cannot be kept full, for longer than a template takes to be made or a class to sit down."""
        since = self._world.clock.monotonic() - SHORT_SECONDS
        with self._lock:
            short = {key: why for key, (why, at) in self._short.items() if at <= since}
        return tuple(
            Finding(
                code="pool-short",
                severity=Severity.WARNING,
                sentence=f"The warm pool of {profile} in {lab} has fewer desktops than it should: {why}.",
                fix=f"labvirt pool list {lab}",
                subject=lab,
            )
            for (lab, profile), why in sorted(short.items())
        )

    # --- starts

    def claim(self, recorded: Recording) -> Held | None:
        """The clone that waits for this start; it is the caller's. None: there is none, and nothing is left of any other of the guest's.
        Raises DatabaseError, DriverError, DiskError: then something may be left."""
        name = recorded.guest.name
        with self._world.database.read() as work:
            spare = work.spares.get(name)
        if spare is None or spare.kind is SpareKind.READY:
            return None
        with self._lock:
            held = self._held.pop(name, None)
        if held is not None and spare.run == recorded.run and is_still_meant(recorded, held.made, held.template):
            return held
        self._clear(spare)
        return None

    def served(self, recorded: Recording, how: str) -> None:
        """Its start is over: `how` is 'paused', 'prespawned', 'clone' or 'boot'."""
        with self._lock:
            if recorded.guest.name not in self._ready:
                self._served[recorded.lab.name, recorded.profile.name, how] += 1

    # --- the loop

    def look(self, wishes: Wishes, busy: frozenset[str], occupied: str, running: int) -> None:
        """What is due is begun. `occupied`: why nothing is made now. Raises DatabaseError."""
        if not wishes.pools and not wishes.spares:
            self._note(PoolPlan(), wishes)
            return
        world = self._world
        host, load, now = world.host(), world.machine.load(), world.clock.monotonic()
        scarce = ""
        if load.memory_available_mib < host.memory_reserve_mib:
            scarce = f"the host {host.name} is short of memory"
        with self._lock:
            making, taken = dict(self._making), frozenset(self._taken)
            self._again = {key: each for key, each in self._again.items() if each[0] > now}
            resting = {key: why for key, (_, why) in self._again.items()}
        busy |= self._operations.busy()  # before the rows are read: what ended in between is written there
        with world.database.read() as work:
            wishes = replace(wishes, guests=work.guests.list(), pools=work.pools.list(), spares=work.spares.list())
        seen = Seen(
            now=world.clock.now(),
            pools=wishes.pools,
            seats=seats_of(world, wishes, self._templates, self._rank()),
            spares=wishes.spares,
            waiting=self._waiting(),
            taken=taken,
            busy=busy,
            making=making,
            scarce=scarce,
            occupied=occupied or full(host, load, running, 0, 0),
            resting=resting,
        )
        plan = plan_pools(seen)
        self._note(plan, wishes)
        for drop in plan.drops:
            self._operations.submit(drop.spare.run.guest, "its spare is being cleared away", partial(self._drop, drop))
        for spare in plan.taken:
            self._take(spare)
        for spare in plan.forgotten:
            self._forget(spare.run)
        for fill in plan.fills:
            with self._lock:
                self._making[fill.seat.guest] = fill
            if not self._operations.submit(fill.seat.guest, "its spare is being made", partial(self._make, fill)):
                self._made(fill)

    def _note(self, plan: PoolPlan, wishes: Wishes) -> None:
        gone = {spare.run for spare in (*plan.taken, *plan.forgotten)}
        with self._lock:
            self._plan = plan
            self._ready = frozenset(spare.run.guest for spare in wishes.spares if spare.kind is SpareKind.READY and spare.run not in gone)
            self._taken &= self._ready
            now, old = self._world.clock.monotonic(), self._short
            self._short = {
                key: (why, old[key][1] if key in old and old[key][0] == why else now) for key, why in plan.holds.items() if why != IN_USE
            }
            news = [(key, why) for key, (why, _) in self._short.items() if old.get(key, ("",))[0] != why]
        for (lab, profile), why in news:
            log.warning("the warm pool of %s in %s has fewer desktops than it should: %s", profile, lab, why)

    def _waiting(self) -> frozenset[RunId]:
        with self._lock:
            held = {each.spare.run for each in self._held.values()}
        return frozenset(held.intersection(self._templates.door().waiting())) if held else frozenset()

    # --- operations

    def _make(self, fill: Fill) -> None:
        try:
            self._fill(fill)
        finally:
            self._made(fill)

    def _made(self, fill: Fill) -> None:
        with self._lock:
            self._making.pop(fill.seat.guest, None)

    def _fill(self, fill: Fill) -> None:
        """The guest's only operation. What could not be made leaves nothing, and the pool waits a while."""
        world, kind, began = self._world, fill.kind, self._world.clock.monotonic()
        now = world.clock.now()
        with world.database.write() as work:
            row, lab = work.guests.get(fill.seat.guest), work.labs.get(fill.seat.lab)
            if row != fill.seat.row or lab is None:
                return
            terminal = work.terminals.at_seat(lab.name, fill.seat.number)
            who = terminal.name if terminal else None
            wanted = row.wanted(now, terminal=who) if row else first_guest(lab, fill.seat.number, now, terminal=who)
            recorded = expected(world, work, wanted)
            if isinstance(recorded, Refused):
                return
            spare = Spare(
                run=recorded.run,
                kind=kind,
                lab=lab.name,
                profile=recorded.profile.name,
                since=now,
                template="" if kind is SpareKind.READY else fill.seat.template,
            )
            work.spares.put(spare)
            if kind is SpareKind.READY:
                (work.guests.update if row else work.guests.add)(wanted)
                work.audit.add(of_guest(now, wanted.name, lab.name, f"wanted: the pool of {spare.profile} keeps it ready", verb="start"))
            work.commit()
        if kind is SpareKind.READY:
            with self._lock:
                self._ready |= {wanted.name}
            self._rows.published(wanted)
            return
        try:
            self._preload(spare, recorded)
        except BaseException as error:
            self._clear(spare)
            if not isinstance(error, LabVirtError | ValueError):
                raise
            log.warning("%s could not be made to wait: %s", spare.run, error)
            with self._lock:
                self._again[spare.lab, spare.profile] = (world.clock.monotonic() + AGAIN_SECONDS, str(error).rstrip("."))
            if isinstance(error, TemplateUnfit):
                self._templates.unfit(TemplateName.parse(spare.template), error.why)
        else:
            with self._lock:
                self._refills[spare.lab, spare.profile] = world.clock.monotonic() - began

    def _preload(self, spare: Spare, recorded: Recording) -> None:
        with self._templates.offered(recorded) as offered:
            if offered.template is None or str(offered.template.template.name) != spare.template:
                raise TemplateUnfit(spare.template, offered.why or "there is a newer one")
            made = make_files(self._world, recorded, offered.template)
            self._templates.door().preload(made.spec, offered.template.template.name, loaded=spare.kind is SpareKind.PAUSED)
            with self._lock:
                self._held[spare.run.guest] = Held(spare=spare, template=offered.template, made=made)

    def _drop(self, drop: Drop) -> None:
        """The guest's only operation."""
        spare = drop.spare
        if spare.kind is SpareKind.READY:
            self._retire(spare, drop.why)
            return
        with self._world.database.read() as work:
            row = work.guests.get(spare.run.guest)
        if row is not None and row.run == spare.run:  # somebody has it
            self._forget(spare.run)
            return
        log.info("%s waits no longer: %s", spare.run, drop.why)
        self._clear(spare)

    def _retire(self, spare: Spare, why: str) -> None:
        """Nobody came to one that ran; whoever comes in this moment keeps it."""
        if not self._is_taken(spare.run.guest):
            self._rows.change(spare.run.guest, spare.run.generation, _unwanted, f"its pool does not need it any more: {why}")
        self._forget(spare.run)

    def _clear(self, spare: Spare) -> None:
        """Nothing of it is left, and it is written down no longer. The guest's only operation, and it is nobody's run. Raises DriverError,
        DiskError, DatabaseError."""
        with self._lock:
            self._held.pop(spare.run.guest, None)
        self._world.hypervisor.stop(spare.run, StopHow.KILL)
        self._world.disks.remove_run(spare.run)
        self._forget(spare.run)

    def _take(self, spare: Spare) -> None:
        """One that ran serves somebody."""
        with self._lock:
            self._served[spare.lab, spare.profile, str(SpareKind.READY)] += 1
        self._rows.change(spare.run.guest, spare.run.generation, _taken_ready)
        self._forget(spare.run)

    def _is_taken(self, guest: str) -> bool:
        with self._lock:
            return guest in self._taken

    def _forget(self, run: RunId) -> None:
        with self._world.database.write() as work:
            known = work.spares.get(run.guest)
            if known is not None and known.run == run:
                work.spares.remove(run.guest)
                work.commit()


def _unwanted(row: Guest) -> Guest:
    return row if row.state is GuestState.CONNECTED else row.unwanted(StopHow.STOP)


def _taken_ready(row: Guest) -> Guest:
    origin = row.origin
    return row if origin.startswith("ready: ") else replace(row, origin=f"ready: {origin}")


def _count(pool: Pool, kind: SpareKind, spares: tuple[Spare, ...], living: frozenset[RunId], ready: set[str]) -> int:
    own = [spare for spare in spares if (spare.lab, spare.profile, spare.kind) == (pool.lab, pool.profile, kind)]
    return sum(spare.run.guest in ready if kind is SpareKind.READY else spare.run in living for spare in own)
