# SPDX-License-Identifier: MIT
"""Is somebody there? Display events and the flow table, each kept apart; the kiosk's own word is in the database, not here."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address

from labvirt.contracts.clock import Clock
from labvirt.contracts.engine import Presence
from labvirt.contracts.hypervisor import EventKind, RunEvent, RunStatus
from labvirt.contracts.network import Flow
from labvirt.domain.guest import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    peer: str
    since: datetime


class PresenceBoard:
    """Thread-safe. Events are news at once; each observation puts right what an event was missed for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._displays: dict[RunId, _Seen] = {}
        self._flows: dict[str, _Seen] = {}
        self._heard: Counter[RunId] = Counter()

    def heard(self, event: RunEvent) -> None:
        with self._lock:
            self._heard[event.run] += 1
            if event.kind is EventKind.VIEWER_CONNECTED:
                self._displays.setdefault(event.run, _Seen(peer=event.peer, since=self._clock.now()))
            elif event.kind in (EventKind.VIEWER_LEFT, EventKind.ENDED):
                self._displays.pop(event.run, None)

    def marks(self) -> Mapping[RunId, int]:
        """Taken before an observation and given back with it: what was heard meanwhile is newer than what was seen."""
        with self._lock:
            return dict(self._heard)

    def observed(self, runs: Iterable[RunStatus], marks: Mapping[RunId, int]) -> None:
        with self._lock:
            living = set()
            for status in runs:
                living.add(status.run)
                if self._heard[status.run] != marks.get(status.run, 0) or status.uuid is None:
                    continue  # news since, or a silent one: nothing can be said
                if status.viewers > 0:
                    self._displays.setdefault(status.run, _Seen(peer="", since=self._clock.now()))
                else:
                    self._displays.pop(status.run, None)
            for run in [run for run in self._heard if run not in living and self._heard[run] == marks.get(run)]:
                del self._heard[run]
                self._displays.pop(run, None)

    def flowing(self, flows: Iterable[Flow], guests: Mapping[IPv4Address, str]) -> None:
        """These connections are open now; `guests` says whose address is whose."""
        with self._lock:
            now: dict[str, _Seen] = {}
            for flow in flows:
                name = guests.get(flow.destination)
                if name is not None:
                    now[name] = self._flows.get(name) or _Seen(peer=str(flow.source), since=self._clock.now())
            self._flows = now

    def of(self, guest: str, run: RunId | None) -> Presence:
        with self._lock:
            display = self._displays.get(run) if run is not None else None
            flow = self._flows.get(guest)
        first = display or flow
        peer = (display.peer if display else "") or (flow.peer if flow else "")
        return Presence(
            guest=guest,
            display=display is not None,
            flow=flow is not None,
            peer=peer,
            since=first.since if first else None,
        )
