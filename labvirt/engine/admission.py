# SPDX-License-Identifier: MIT
"""The queue's doer: keeps who waits, lets them start, and writes down what the others wait for. Who is next is decided in queue.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from labvirt.domain import placement
from labvirt.domain.guest import Guest, GuestState, Purpose
from labvirt.domain.host import GUEST_OVERHEAD_MIB
from labvirt.engine.observe import Wishes
from labvirt.engine.operations import Operations
from labvirt.engine.published import Published
from labvirt.engine.queue import Capacity, Pace, fair_order, take_turns
from labvirt.engine.readiness import Readiness
from labvirt.engine.settling import Settling
from labvirt.engine.world import World

WRITE_SECONDS = 1.0
"""Places in the queue are written at most so often."""

COOLING_SECONDS = 1.0
"""After a start that came to nothing, whatever its row says: no mistake may make a loop without a pause."""

PACE_SECONDS = 2.0
"""Who was seen booting longer ago tells nothing of how long starts take."""


@dataclass(slots=True)
class _Begun:
    """A start that was let through. `done` is when its machine ran (monotonic)."""

    at: float
    memory_mib: int
    done: float | None = None
    told: bool = False


class Admission:
    """`admit` is called by the loop only; `ended` by workers."""

    def __init__(
        self,
        world: World,
        operations: Operations,
        published: Published,
        readiness: Readiness,
        settling: Settling,
        start: Callable[[str, int], None],
    ) -> None:
        self._world = world
        self._operations = operations
        self._published = published
        self._readiness = readiness
        self._settling = settling
        self._start = start
        self._lock = threading.Lock()
        self._waiting: dict[str, Guest] = {}
        self._memory: dict[str, int] = {}
        self._begun: dict[str, _Begun] = {}
        self._cooling: dict[str, float] = {}
        self._pace = Pace()
        self._booting: frozenset[str] = frozenset()
        self._booting_at = float("-inf")
        self._last_lab: str | None = None
        self._living = 0
        self._written_at = float("-inf")
        self.hold = ""
        """Why nothing may start at all (the host cannot run guests); empty when it may."""

    def waiting(self) -> tuple[str, ...]:
        """In the order of their turns."""
        with self._lock:
            return tuple(guest.name for guest in fair_order(tuple(self._waiting.values()), self._last_lab))

    def renew(self, waiting: tuple[Guest, ...], wishes: Wishes, living: int) -> None:
        """These wait now (all of them); so many guests live."""
        images = {image.name: image for image in wishes.images}
        labs = {lab.name: lab for lab in wishes.labs}
        terminals = {(terminal.lab, terminal.seat): terminal for terminal in wishes.terminals}
        profiles = {profile.name: profile for profile in wishes.profiles}
        memory = {}
        for guest in waiting:
            if guest.purpose is not Purpose.SEAT:
                fixed = profiles.get(guest.profile or "")
                memory[guest.name] = fixed.memory_mib if fixed else 0
                continue
            lab = labs.get(guest.lab)
            terminal = terminals.get((guest.lab, guest.seat))
            choice = placement.choose(lab, terminal, wishes.profiles, images) if lab else None
            memory[guest.name] = choice.profile.memory_mib if choice and choice.profile else 0
        with self._lock:
            self._waiting = {guest.name: guest for guest in waiting}
            self._memory = memory
            self._living = living

    def began(self, guest: str, *, boots: bool) -> None:
        """Its machine runs: it `boots`, or is ready."""
        with self._lock:
            begun = self._begun.get(guest)
            if begun is not None and begun.done is None:
                begun.done = self._world.clock.monotonic()
                if not boots:
                    self._pace.add(begun.done - begun.at)

    def ended(self, guest: str) -> bool:
        """An operation on it is over. True when that was a start that went well; of one that did not nothing is left."""
        with self._lock:
            begun = self._begun.get(guest)
            if begun is not None and begun.done is None:
                del self._begun[guest]
                self._cooling[guest] = self._world.clock.monotonic() + COOLING_SECONDS
                return False
            well = begun is not None and not begun.told
            if begun is not None:
                begun.told = True
            return well

    def admit(self) -> float | None:
        """Let start who may. Returns when the queue should be looked at again without any event (monotonic). Raises DatabaseError."""
        with self._lock:
            if not self._waiting:
                return None
        host = self._world.host()
        load = self._world.machine.load()
        at_once = self._world.settings.starts_at_once or host.starts_at_once or load.cpus
        now = self._world.clock.monotonic()
        settling = self._settling.names()
        with self._lock:
            self._cooling = {name: until for name, until in self._cooling.items() if until > now}
            ready = tuple(guest for guest in self._waiting.values() if guest.name not in self._cooling)
            dues = [until for name, until in self._cooling.items() if name in self._waiting]
            ordered = fair_order(ready, self._last_lab)
            slots, committed = self._occupied(now, at_once, settling)
            capacity = Capacity(
                host=host,
                load=load,
                slots=0 if self.hold else slots,
                running=self._living + sum(1 for begun in self._begun.values() if begun.done is None),
                committed_mib=committed,
            )
            memory = dict(self._memory)
            turn = take_turns(ordered, capacity, at_once, lambda guest: memory.get(guest.name, 0), self._pace)
        for guest in turn.admitted:
            begun = _Begun(at=now, memory_mib=memory.get(guest.name, 0) + GUEST_OVERHEAD_MIB)
            with self._lock:
                self._begun[guest.name] = begun
                self._waiting.pop(guest.name, None)
                self._last_lab = guest.lab
            if not self._operations.submit(
                guest.name,
                "it is being started",
                lambda g=guest: self._start(g.name, g.generation),  # type: ignore[misc]
            ):
                with self._lock:
                    self._begun.pop(guest.name, None)
        reasons = dict.fromkeys(turn.reasons, self.hold) if self.hold else turn.reasons
        dues += [due] if (due := self._write(reasons, now)) is not None else []
        dues += [now + 1.0] if self._readiness.waited() or settling else []  # one that boots for long gives its place to the next
        return min(dues, default=None)

    def _occupied(self, now: float, at_once: int, settling: frozenset[str]) -> tuple[int, int]:
        """Free slots, and memory promised to guests that start or are young."""
        settings = self._world.settings
        self._begun = {
            name: begun for name, begun in self._begun.items() if begun.done is None or now - begun.done < settings.young_seconds
        }
        waited = {waited.guest for waited in self._readiness.waited() if now - waited.since < settings.settle_seconds}
        booting = settling | waited
        self._learn_pace(booting, now)
        taken = {name for name, begun in self._begun.items() if begun.done is None} | booting
        return max(0, at_once - len(taken)), sum(begun.memory_mib for begun in self._begun.values())

    def _learn_pace(self, booting: frozenset[str], now: float) -> None:
        """How long those took that have freed their place since the last look, if that was a moment ago."""
        if now - self._booting_at <= PACE_SECONDS:
            for name in self._booting - booting:
                if (begun := self._begun.get(name)) is not None:
                    self._pace.add(now - begun.at)
        self._booting, self._booting_at = booting, now

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
