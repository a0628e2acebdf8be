# SPDX-License-Identifier: MIT
"""Guests that run and have no port to wait for (SPICE shows the boot): they boot until DHCP has given them their lease anew. Who boots
keeps its place among the starts, or the first of forty would wait as long as the last.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime

from labvirt.domain.addresses import MacAddress
from labvirt.domain.lab import Lab
from labvirt.engine.world import World
from labvirt.errors import LabVirtError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Leases are read at most so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boot:
    lab: str
    mac: MacAddress
    lease: datetime | None
    """The end of the lease that it had from an earlier run."""
    since: float


class Settling:
    """`begun` is called by workers, `names` by the loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._boots: dict[str, _Boot] = {}
        self._looked_at = float("-inf")

    def begun(self, guest: str, lab: Lab, mac: MacAddress) -> None:
        """Its machine runs now."""
        if self._world.settings.settle_seconds <= 0:
            return
        lease = self._leases(lab.name).get(mac)
        with self._lock:
            self._boots[guest] = _Boot(lab=lab.name, mac=mac, lease=lease, since=self._world.clock.monotonic())

    def names(self) -> frozenset[str]:
        """Who boots still, as far as leases tell; each for `settle_seconds` at most."""
        now = self._world.clock.monotonic()
        with self._lock:
            late = [name for name, boot in self._boots.items() if now - boot.since >= self._world.settings.settle_seconds]
            for name in late:
                del self._boots[name]
            boots = dict(self._boots)
        if boots and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            leases = {lab: self._leases(lab) for lab in {boot.lab for boot in boots.values()}}
            there = {name: boot for name, boot in boots.items() if leases[boot.lab].get(boot.mac) != boot.lease}
            with self._lock:
                for name, boot in there.items():
                    if self._boots.get(name) == boot:
                        del self._boots[name]
            boots = {name: boot for name, boot in boots.items() if name not in there}
        return frozenset(boots)

    def _leases(self, lab: str) -> dict[MacAddress, datetime | None]:
        """The end of each lease; nothing when they cannot be read."""
        try:
            return {lease.mac: lease.expires for lease in self._world.dhcp.leases(lab)}
        except LabVirtError as error:
            log.info("leases of %s: %s", lab, error)
            return {}
