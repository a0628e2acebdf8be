# SPDX-License-Identifier: MIT
"""Who holds which address, as DHCP said a moment ago: enough for a heartbeat and for a page, never for a ticket.

All leases of a lab with a thousand terminals cost 50 ms each time they are fetched from the engine.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address

from labvirt.contracts.engine import EngineLink
from labvirt.domain.addresses import MacAddress
from labvirt.domain.lease import Lease, owner
from labvirt.errors import LabVirtError

SECONDS = 5.0
LONG_SECONDS = 30.0
"""For who must not wait for the engine, and sees newer ones soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    leases: tuple[Lease, ...]
    at: float


class Leased:
    """Safe from any thread. `monotonic` is in seconds."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}
        self._lock = threading.Lock()

    def held(self, engine: EngineLink, lab: str, address: IPv4Address, mac: MacAddress, now: datetime, monotonic: float) -> bool:
        """Does `mac` hold the address? A yes may be some seconds old; a no is of this moment. Raises EngineAway."""
        told = self._recent(lab, monotonic)
        if told is not None and owner(told.leases, address, now) == mac:
            return True
        return owner(self._ask(engine, lab, monotonic), address, now) == mac

    def seen(self, engine: EngineLink, lab: str, monotonic: float, oldest: float = SECONDS) -> tuple[Lease, ...]:
        """All leases of the lab for who only looks, `oldest` seconds old at most: not as many for each lab, so that what was asked for
        together for one page is not asked for together again. Raises EngineAway."""
        told = self._recent(lab, monotonic, oldest * (1 - hash(lab) % 32 / 64))
        return told.leases if told is not None else self._ask(engine, lab, monotonic)

    def _ask(self, engine: EngineLink, lab: str, monotonic: float) -> tuple[Lease, ...]:
        try:
            leases = engine.leases(lab)
        except LabVirtError:
            with self._lock:
                self._told.pop(lab, None)
            raise
        with self._lock:
            self._told[lab] = _Told(leases=leases, at=monotonic)
        return leases

    def _recent(self, lab: str, monotonic: float, seconds: float = SECONDS) -> _Told | None:
        """What was told lately. Who finds it too old asks again; the others go on with it meanwhile."""
        with self._lock:
            told = self._told.get(lab)
            if told is not None and monotonic - told.at > seconds:
                self._told[lab] = replace(told, at=monotonic)
                return None
            return told
