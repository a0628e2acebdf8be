# SPDX-License-Identifier: MIT
"""Waiting until guests that boot answer on their port. One thread for all of them: a silent one holds up nobody."""

from __future__ import annotations

import errno
import select
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from labvirt.contracts.clock import Clock
from labvirt.domain.guest import RunId

Place = tuple[IPv4Address, int]
Probe = Callable[[Sequence[Place]], frozenset[Place]]

SWEEP_SECONDS = 0.4
CONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """A run that boots, and since when (monotonic)."""

    guest: str
    generation: int
    run: RunId
    place: Place
    since: float


class Readiness:
    """`ready` and `late` are called on the waiting thread and must not block for long."""

    def __init__(
        self, probe: Probe, clock: Clock, timeout_seconds: float, ready: Callable[[Waited], None], late: Callable[[Waited], None]
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._timeout = timeout_seconds
        self._ready = ready
        self._late = late
        self._waited: dict[RunId, Waited] = {}
        self._changed = threading.Condition()
        self._closed = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="readiness", daemon=True).start()

    def wait_for(self, guest: str, generation: int, run: RunId, place: Place) -> None:
        with self._changed:
            if run not in self._waited:
                self._waited[run] = Waited(guest=guest, generation=generation, run=run, place=place, since=self._clock.monotonic())
                self._changed.notify_all()

    def forget(self, run: RunId) -> None:
        with self._changed:
            self._waited.pop(run, None)

    def waited(self) -> tuple[Waited, ...]:
        with self._changed:
            return tuple(self._waited.values())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waited or self._closed)
                if self._closed:
                    return
                now = tuple(self._waited.values())
            answering = self._probe([waited.place for waited in now])
            for waited in now:
                late = self._clock.monotonic() - waited.since > self._timeout
                if waited.place not in answering and not late:
                    continue
                with self._changed:
                    known = self._waited.pop(waited.run, None) is not None
                if known:
                    (self._ready if waited.place in answering else self._late)(waited)
            with self._changed:
                if self._changed.wait_for(lambda: self._closed, SWEEP_SECONDS):
                    return


def tcp_probe(places: Sequence[Place]) -> frozenset[Place]:
    """Those of `places` that accept a TCP connection within CONNECT_SECONDS; all are tried at the same time."""
    trying: dict[int, tuple[socket.socket, Place]] = {}
    poll = select.poll()
    answering: set[Place] = set()
    try:
        for place in dict.fromkeys(places):
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connection.setblocking(False)
            trying[connection.fileno()] = (connection, place)
            code = connection.connect_ex((str(place[0]), place[1]))
            if code == 0:
                answering.add(place)
            elif code == errno.EINPROGRESS:
                poll.register(connection, select.POLLOUT)
        deadline = CONNECT_SECONDS
        while deadline > 0 and len(answering) < len(trying):
            events = poll.poll(deadline * 1000)
            if not events:
                break
            for number, _ in events:
                connection, place = trying[number]
                poll.unregister(number)
                if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    answering.add(place)
            deadline -= 0.05  # each batch of answers shortens what the others get: the sweep is bounded
    finally:
        for connection, _ in trying.values():
            connection.close()
    return frozenset(answering)
