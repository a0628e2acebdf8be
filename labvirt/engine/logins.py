# SPDX-License-Identifier: MIT
"""Logins inside guests: a password minted for one viewer, set through the guest's agent, and replaced by one that nobody knows when it was
used or is old. The guest is not trusted: it can waste only its own time here.
"""

from __future__ import annotations

import logging
import secrets
import string
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from labvirt.contracts.engine import DisplayTicket
from labvirt.contracts.hypervisor import Capability, HypervisorInfo
from labvirt.domain.answer import RDP_PORT
from labvirt.domain.certificate import LONGEST_BYTES, fingerprint
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Profile, Protocol
from labvirt.engine.operations import Operations
from labvirt.engine.world import World
from labvirt.errors import AgentSilent, GuestNotReady, OperationInProgress, Unsupported

log = logging.getLogger(__name__)

CERTIFICATE = "/etc/xrdp/cert.pem"
"""Where a guest with xrdp has what it shows. Windows has no such file: then there is no fingerprint."""
RENEWED = "/run/labvirt/run"
"""Where a Linux guest says as which run it has renewed itself (images/fork/labvirt-fork)."""
LONGEST_RUN = 128
"""Bytes of it that are read."""
LOGIN_SECONDS = 15.0
"""After its viewer was seen on the wire, the password lives on for so long: the guest's own login comes after that."""
AT_ONCE = 6
"""So many guests are talked to at a time for tickets: half of the threads with which the web process answers terminals."""
AGAIN_SECONDS = 10.0
ATTEMPTS = 6
"""So often it is tried to take a password back while the agent is silent."""

LETTERS = 24
ALPHABET = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
"""No signs that a command line, a keyboard or a policy could take amiss, and none that look alike: 57, so 140 bits."""
_KINDS = (string.ascii_uppercase, string.ascii_lowercase, string.digits)


def mint_password(user: str) -> str:
    """A random one that has capitals, small letters and digits, and not the user's name in it, as Windows wants it."""
    while True:
        word = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
        named = len(user) > 2 and user.lower() in word.lower()
        if not named and all(set(kind) & set(word) for kind in _KINDS):
            return word


@dataclass(frozen=True, slots=True, kw_only=True)
class _Login:
    run: RunId
    user: str
    source: IPv4Address | None
    until: float
    attempts: int = 0


class Logins:
    """Thread-safe; a guest that does not answer holds up only who asks for the same one. Knows users and times, never a password."""

    def __init__(self, world: World, operations: Operations, info: Callable[[], HypervisorInfo | None]) -> None:
        self._world = world
        self._operations = operations
        self._info = info
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._one: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._logins: dict[str, _Login] = {}
        self._adopted = False

    def mint(self, guest: Guest, lab: Lab, user: str, source: IPv4Address) -> DisplayTicket:
        """The user of this guest has a new password, and only this one, for a viewer at `source`.

        After a failure the password is one that nobody knows, or still the one before. Raises GuestNotReady, AgentSilent, Conflict (the
        agent refuses; others are being served), Unsupported, DriverError.
        """
        world = self._world
        info = self._info()
        if info is not None and Capability.GUEST_LOGIN not in info.capabilities:
            raise Unsupported(Capability.GUEST_LOGIN, info.driver)
        if not guest.ready or guest.run is None or guest.run.generation != guest.generation:
            raise GuestNotReady(guest.name, str(guest.state))
        seconds = world.settings.ticket_seconds
        password = mint_password(user)
        with self._alone(guest.name):
            self._refuse_unrenewed(guest, guest.run)
            world.hypervisor.set_login(guest.run, user, password)
            shown = world.hypervisor.read_guest_file(guest.run, CERTIFICATE, LONGEST_BYTES)
            with self._lock:
                self._logins[guest.name] = _Login(run=guest.run, user=user, source=source, until=world.clock.monotonic() + seconds)
        return DisplayTicket(
            guest=guest.name,
            address=lab.identity(guest.seat).address,
            port=RDP_PORT,
            secret=password,
            expires_seconds=seconds,
            user=user,
            fingerprint=fingerprint(shown) if shown is not None else None,
        )

    def _refuse_unrenewed(self, guest: Guest, run: RunId) -> None:
        """A clone has its template's certificate and password until it has renewed them, and says when that is done. Raises GuestNotReady,
        AgentSilent, DriverError."""
        if not guest.is_clone:
            return
        said = self._world.hypervisor.read_guest_file(run, RENEWED, LONGEST_RUN)
        if said is None or said.strip() != str(run).encode():
            raise GuestNotReady(guest.name, "renewing its keys (an image without labvirt-fork never does: --no-instant-clone)")

    def seen(self, connected: Collection[tuple[str, IPv4Address]]) -> None:
        """These guests and addresses are connected now: whose ticket it was, its password ends soon. Never blocks."""
        soon = self._world.clock.monotonic() + LOGIN_SECONDS
        with self._lock:
            for name, source in connected:
                login = self._logins.get(name)
                if login is not None and login.source == source and soon < login.until:
                    self._logins[name] = replace(login, until=soon)

    def adopt(self, guests: Iterable[Guest], profiles: Iterable[Profile]) -> None:
        """What the engine before us gave out ends now. Once; later calls do nothing."""
        if self._adopted:
            return
        self._adopted = True
        users = {profile.name: profile.user for profile in profiles if profile.protocol is Protocol.RDP}
        now = self._world.clock.monotonic()
        with self._lock:
            for guest in guests:
                user = users.get(guest.profile or "")
                if user is not None and guest.ready and guest.run is not None:
                    self._logins.setdefault(guest.name, _Login(run=guest.run, user=user, source=None, until=now))

    def revoke_due(self) -> float | None:
        """Have replaced what is used or old. Returns when the next will be due (monotonic)."""
        now = self._world.clock.monotonic()
        with self._lock:
            due = [(name, login) for name, login in self._logins.items() if login.until <= now]
            rest = [login.until for login in self._logins.values() if login.until > now]
        for name, login in due:
            self._operations.submit(
                f"login:{name}",
                "its password is being replaced",
                lambda n=name, w=login: self._revoke(n, w),  # type: ignore[misc]
            )
        return min(rest, default=None)

    def _revoke(self, name: str, login: _Login) -> None:
        with self._lock:
            one = self._one[name]
        with one:
            with self._lock:
                if self._logins.get(name) != login:
                    return  # a newer one was minted meanwhile
                del self._logins[name]
            try:
                self._world.hypervisor.set_login(login.run, login.user, mint_password(login.user))
            except AgentSilent as error:
                self._later(name, login, error)

    def _later(self, name: str, login: _Login, error: AgentSilent) -> None:
        attempts = login.attempts + 1
        if attempts >= ATTEMPTS:
            log.warning("%s: the last password of %r stays until the next ticket or start: %s", name, login.user, error)
            return
        with self._lock:
            again = self._world.clock.monotonic() + AGAIN_SECONDS
            self._logins[name] = replace(login, until=again, attempts=attempts)

    @contextmanager
    def _alone(self, guest: str) -> Iterator[None]:
        """Nobody waits here: who comes second comes again."""
        with self._lock:
            one = self._one[guest]
        if not one.acquire(blocking=False):
            raise OperationInProgress(guest, "its login is being prepared")
        try:
            if not self._places.acquire(blocking=False):
                raise OperationInProgress(guest, "the logins of others are being prepared")
            try:
                yield
            finally:
                self._places.release()
        finally:
            one.release()
