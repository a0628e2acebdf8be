# SPDX-License-Identifier: MIT
"""The queue's doer: keeps who waits, lets them start, and writes down what the others wait for. Who is next is decided in queue.py, how
many at once in domain.bearing, when the others will be ready in forecast.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from labvirt.domain import placement
from labvirt.domain.bearing import WINDOW_SECONDS, Bearing
from labvirt.domain.guest import Guest, GuestState, Purpose
from labvirt.engine.attending import Attending
from labvirt.engine.forecast import CLONE, COLD, Kind, Next, Told, forecast
from labvirt.engine.gauge import Gauge
from labvirt.engine.observe import Wishes
from labvirt.engine.operations import Operations
from labvirt.engine.published import Published
from labvirt.engine.queue import Capacity, Turn, fair_order, take_turns, told
from labvirt.engine.readiness import Readiness
from labvirt.engine.settling import Settling
from labvirt.engine.under_way import UnderWay, weight_of
from labvirt.engine.world import World

WRITE_SECONDS = 1.0
"""Places in the queue are written at most so often."""

COOLING_SECONDS = 1.0
"""After a start that came to nothing, whatever its row says: no mistake may make a loop without a pause."""

CLONE_WEIGHT = 0.5
"""What an instant clone takes of a start's place: it reads little and boots nothing, but more than two for each processor only wait for
each other (measured on two processors)."""


class Admission:
    """`admit` is called by the loop only; `began`, `answered` and `ended` by others."""

    def __init__(
        self,
        world: World,
        operations: Operations,
        published: Published,
        readiness: Readiness,
        settling: Settling,
        start: Callable[[str, int], None],
        *,
        gauge: Gauge,
        attending: Attending,
        weight: Callable[[Guest], float] | None = None,
        how: Callable[[Guest], str] | None = None,
    ) -> None:
        """`weight` says how much of the host a start takes (1: a cold boot), `how` it will be made: starts that are made alike take alike.
        Both are asked at each look, and must be quick. None: as the last start of the guest's profile was made."""
        self._world = world
        self._operations = operations
        self._published = published
        self._readiness = readiness
        self._settling = settling
        self._start = start
        self._gauge = gauge
        self._attending = attending
        self._weight = weight or self._usual_weight
        self._how = how or self._usual_how
        self._usual: dict[str, str] = {}
        self._lock = threading.Lock()
        self._waiting: dict[str, Guest] = {}
        self._memory: dict[str, int] = {}
        self._profiles: dict[str, str] = {}
        self._under_way = UnderWay()
        self._told = Told()
        self._cooling: dict[str, float] = {}
        self._last_lab: str | None = None
        self._living = 0
        self._short = False
        self._written_at = float("-inf")
        self.hold = ""
        """Why nothing may start at all (the host cannot run guests); empty when it may."""

    def waiting(self) -> tuple[str, ...]:
        """In the order of their turns."""
        rank = self._attending.rank()
        with self._lock:
            return tuple(guest.name for guest in fair_order(tuple(self._waiting.values()), self._last_lab, rank))

    def renew(self, waiting: tuple[Guest, ...], wishes: Wishes, living: int) -> None:
        """These wait now (all of them); so many guests live."""
        if waiting:
            self._attending.learn(wishes)
        images = {image.name: image for image in wishes.images}
        labs = {lab.name: lab for lab in wishes.labs}
        terminals = {(terminal.lab, terminal.seat): terminal for terminal in wishes.terminals}
        profiles = {profile.name: profile for profile in wishes.profiles}
        memory, chosen = {}, {}
        for guest in waiting:
            profile = profiles.get(guest.profile or "")
            if guest.purpose is Purpose.SEAT:
                lab = labs.get(guest.lab)
                choice = placement.choose(lab, terminals.get((guest.lab, guest.seat)), wishes.profiles, images) if lab else None
                profile = choice.profile if choice else None
            memory[guest.name] = profile.memory_mib if profile else 0
            chosen[guest.name] = profile.name if profile else ""
        with self._lock:
            self._waiting = {guest.name: guest for guest in waiting}
            self._memory, self._profiles = memory, chosen
            self._living = living

    def began(self, guest: str, *, boots: bool, shows: bool = True, how: str = "") -> None:
        """Its machine runs: it `boots`, or is ready. Its terminal `shows` it from now on, or waits until it answers. `how` it was started
        at last, if not as was meant (a clone that had to boot)."""
        now = self._world.clock.monotonic()
        with self._lock:
            kind = self._under_way.runs(guest, at=now, boots=boots, shows=shows, how=how)
            if kind is not None:
                self._usual[kind.profile] = kind.how

    def answered(self, guest: str) -> None:
        """It has booted: what its terminal waited for."""
        now = self._world.clock.monotonic()
        with self._lock:
            self._under_way.answers(guest, at=now)

    def ended(self, guest: str) -> bool:
        """An operation on it is over. True when that was a start that went well; of one that did not nothing is left."""
        with self._lock:
            well = self._under_way.ended(guest)
            if well is None:
                self._cooling[guest] = self._world.clock.monotonic() + COOLING_SECONDS
            return well is True

    def admit(self) -> float | None:
        """Let start who may. Returns when the queue should be looked at again without any event (monotonic). Raises DatabaseError."""
        world = self._world
        host = world.host()
        load, bearing = self._gauge.look(host, wanted=self._short)
        rank = self._attending.rank()
        now = world.clock.monotonic()
        with self._lock:
            self._short = False
            if not self._waiting:
                return None
        settling = self._settling.names()
        with self._lock:
            self._cooling = {name: until for name, until in self._cooling.items() if until > now}
            ready = tuple(guest for guest in self._waiting.values() if guest.name not in self._cooling)
            dues = [until for name, until in self._cooling.items() if name in self._waiting]
            self._look(now, settling)
            going = self._under_way.going(now=now)
            taken = weight_of(going)
            capacity = Capacity(
                host=host,
                load=load,
                free=0 if self.hold else bearing.starts - taken,
                running=self._living + self._under_way.starting(),
                committed_mib=self._under_way.committed_mib(now=now, young_seconds=world.settings.young_seconds),
                idle=not going,
            )
            memory = dict(self._memory)
            ordered = fair_order(ready, self._last_lab, rank)
            turn = take_turns(ordered, capacity, lambda guest: memory.get(guest.name, 0), self._weight, self._is_clone)
        for guest in turn.admitted:
            self._let(guest, now, memory.get(guest.name, 0))
        with self._lock:
            self._short = bool(turn.line) and not turn.line[0].held and not self.hold
            reasons = dict.fromkeys((each.guest.name for each in turn.line), self.hold) if self.hold else self._reasons(turn, bearing, now)
        dues += [due] if (due := self._write(reasons, now)) is not None else []
        if self._short or settling or self._readiness.waited():  # one that boots for long gives its place to the next; what is told shrinks
            dues.append(now + (WRITE_SECONDS if self._short else WINDOW_SECONDS))
        return min(dues, default=None)

    def _let(self, guest: Guest, now: float, memory_mib: int) -> None:
        with self._lock:
            self._under_way.let(guest.name, at=now, memory_mib=memory_mib, weight=self._weight(guest), kind=self._kind(guest))
            self._waiting.pop(guest.name, None)
            self._last_lab = guest.lab
        if not self._operations.submit(guest.name, "it is being started", lambda: self._start(guest.name, guest.generation)):
            with self._lock:
                self._under_way.forget(guest.name)

    def _usual_how(self, guest: Guest) -> str:
        return self._usual.get(self._profiles.get(guest.name, ""), COLD)

    def _usual_weight(self, guest: Guest) -> float:
        return CLONE_WEIGHT if self._usual_how(guest) == CLONE else 1.0

    def _is_clone(self, guest: Guest) -> bool:
        return self._how(guest) == CLONE

    def _kind(self, guest: Guest) -> Kind:
        return Kind(how=self._how(guest), profile=self._profiles.get(guest.name, ""))

    def _reasons(self, turn: Turn, bearing: Bearing, now: float) -> Mapping[str, str]:
        line = [Next(kind=self._kind(each.guest), weight=self._weight(each.guest)) for each in turn.line]
        expected = forecast(line, self._under_way.going(now=now), bearing.starts, self._under_way.paces)
        self._told.keep_only(self._waiting)
        seconds = [self._told.seconds(each.guest.name, due, now) for each, due in zip(turn.line, expected, strict=True)]
        return told(turn.line, seconds)

    def _look(self, now: float, settling: frozenset[str]) -> None:
        settings = self._world.settings
        awaited = self._readiness.waited()
        booting = settling | {waited.guest for waited in awaited if now - waited.since < settings.settle_seconds}
        self._under_way.look(booting, frozenset(waited.guest for waited in awaited), now=now, young_seconds=settings.young_seconds)

    def _write(self, reasons: Mapping[str, str], now: float) -> float | None:
        with self._lock:
            news = {name: reason for name, reason in reasons.items() if name in self._waiting and self._waiting[name].reason != reason}
        if not news:
            return None
        if now - self._written_at < WRITE_SECONDS:
            return self._written_at + WRITE_SECONDS
        self._written_at = now
        written: list[Guest] = []
        with self._world.database.write() as work:
            for name, reason in news.items():
                row = work.guests.get(name)
                waiting = self._waiting.get(name)
                if row is None or waiting is None or row.generation != waiting.generation:
                    continue
                if row.state is GuestState.WANTED:
                    written.append(replace(row, reason=reason))
                    work.guests.update(written[-1])
            if written:
                work.commit()
        with self._lock:
            for guest in written:
                if guest.name in self._waiting:
                    self._waiting[guest.name] = guest
        for guest in written:
            self._published.put(guest)
        return None
