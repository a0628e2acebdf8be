# SPDX-License-Identifier: MIT
"""Secrets of displays: minted for one address, used once, revoked when used or old."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from labvirt.contracts.engine import DisplayTicket
from labvirt.domain.addresses import InterfaceName
from labvirt.domain.guest import RunId
from labvirt.engine.operations import Operations
from labvirt.engine.world import World
from labvirt.errors import GuestNotReady, LabVirtError, NotFound

log = logging.getLogger(__name__)

SECRET_BYTES = 24
"""32 characters; SPICE takes at most 60 (SPICE_MAX_PASSWORD_LENGTH, spice-protocol)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    run: RunId
    bridge: InterfaceName
    port: int
    until: float


class Displays:
    """Thread-safe; a display that does not answer holds up only those who ask for the same one."""

    def __init__(self, world: World, operations: Operations) -> None:
        self._world = world
        self._operations = operations
        self._lock = threading.Lock()
        self._one: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._grants: dict[str, _Grant] = {}

    def mint(self, name: str, source: IPv4Address) -> DisplayTicket:
        """A secret for the next viewer, and the way open for `source` only. The secret before is worthless. After a failure no secret
        is valid. Raises NotFound, GuestNotReady, DriverError, DatabaseError."""
        world = self._world
        with world.database.read() as work:
            guest = work.guests.get(name)
            lab = work.labs.get(guest.lab) if guest else None
        if guest is None or lab is None:
            raise NotFound("guest", name)
        if not guest.ready or guest.run is None or guest.run.generation != guest.generation:
            raise GuestNotReady(name, str(guest.state))
        port = lab.identity(guest.seat).display_port
        seconds = world.settings.ticket_seconds
        secret = secrets.token_urlsafe(SECRET_BYTES)
        with self._lock:
            one = self._one[name]
        with one:
            grant = _Grant(run=guest.run, bridge=lab.bridge, port=port, until=world.clock.monotonic() + seconds)
            world.hypervisor.grant_display(guest.run, secret, seconds)
            try:
                world.network.grant_display(lab.bridge, source, port)
            except LabVirtError:
                world.hypervisor.grant_display(guest.run, "", 0)
                raise
            with self._lock:
                self._grants[name] = grant
        return DisplayTicket(guest=name, address=lab.network.gateway, port=port, secret=secret, expires_seconds=seconds)

    def used(self, run: RunId) -> None:
        """A viewer has connected: its secret ends soon. Never blocks."""
        soon = self._world.clock.monotonic() + self._world.settings.revoke_seconds
        with self._lock:
            grant = self._grants.get(run.guest)
            if grant is not None and grant.run == run and soon < grant.until:
                self._grants[run.guest] = replace(grant, until=soon)

    def revoke_due(self) -> float | None:
        """Have revoked what is used or old. Returns when the next will be due (monotonic)."""
        now = self._world.clock.monotonic()
        with self._lock:
            due = [(name, grant) for name, grant in self._grants.items() if grant.until <= now]
            rest = [grant.until for grant in self._grants.values() if grant.until > now]
        for name, grant in due:
            self._operations.submit(
                f"display:{name}",
                "its display secret is being revoked",
                lambda n=name, g=grant: self._revoke(n, g),  # type: ignore[misc]
            )
        return min(rest, default=None)

    def _revoke(self, name: str, grant: _Grant) -> None:
        with self._lock:
            one = self._one[name]
        with one:
            with self._lock:
                if self._grants.get(name) != grant:
                    return  # a newer one was minted meanwhile
                del self._grants[name]
            try:
                self._world.network.revoke_display(grant.bridge, grant.port)
            finally:
                try:
                    self._world.hypervisor.grant_display(grant.run, "", 0)
                except LabVirtError as error:
                    log.info("%s: its secret ends by its own expiry: %s", name, error)
