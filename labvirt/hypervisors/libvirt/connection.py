# SPDX-License-Identifier: MIT
"""The connection to libvirt: made when needed, made again when it broke, with everybody's events on one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from urllib.parse import urlsplit

import libvirt
import libvirt_qemu

from labvirt.domain.guest import RunId
from labvirt.errors import InvalidInput
from labvirt.hypervisors.libvirt.translation import translated

OnLifecycle = Callable[[RunId, int, int], None]
OnMonitor = Callable[[RunId, str, str | None], None]


def is_local(uri: str) -> bool:
    """Does it name the libvirt of this machine? Its socket may be anywhere; a host, or another way there, is none of it."""
    found = urlsplit(uri)
    return found.scheme in ("qemu", "qemu+unix") and not found.netloc


@cache
def run_event_loop() -> None:
    """libvirt's own event loop runs on a daemon thread: once in a process, before its first connection. stderr stays clean."""
    libvirt.registerErrorHandler(_keep_still, None)
    libvirt.virEventRegisterDefaultImpl()

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt-events", daemon=True).start()


def _keep_still(_context: object, _error: object) -> None:
    """libvirt prints each error to stderr unless somebody else takes it; they all come as exceptions too."""


class Connection:
    """`get()` gives a living virConnect; events of all domains whose name is that of a run go to the two callbacks."""

    def __init__(self, uri: str, on_lifecycle: OnLifecycle, on_monitor: OnMonitor) -> None:
        self._uri = uri
        self._on_lifecycle = on_lifecycle
        self._on_monitor = on_monitor
        self._lock = threading.Lock()
        self._open: libvirt.virConnect | None = None
        self._spare: libvirt.virConnect | None = None

    def get(self) -> libvirt.virConnect:
        """For calls that come back at once. Raises HostNotReady."""
        with self._lock:
            if self._open is None or not _alive(self._open):
                self._open = self._connect()
                self._listen(self._open)
            return self._open

    def for_monitor(self) -> libvirt.virConnect:
        """For calls that QEMU itself must answer: a stuck one takes one of the few places a connection has (max_client_requests is 5)."""
        with self._lock:
            if self._spare is None or not _alive(self._spare):
                self._spare = self._connect()
            return self._spare

    def abandon_monitor(self) -> None:
        """A call is stuck: it keeps the connection it has, the next ones get a new one."""
        with self._lock:
            self._spare = None

    def close(self) -> None:
        with self._lock:
            for connection in (self._open, self._spare):
                if connection is not None:
                    with suppress(libvirt.libvirtError):  # it broke before: closed is closed
                        connection.close()
            self._open = self._spare = None

    def _connect(self) -> libvirt.virConnect:
        run_event_loop()
        with translated("connect to", self._uri):
            connection = libvirt.open(self._uri)
        with suppress(libvirt.libvirtError):  # drivers inside of this process have no wire to keep alive
            connection.setKeepAlive(5, 5)  # a libvirtd that is stuck is noticed after 30 s
        return connection

    def _listen(self, connection: libvirt.virConnect) -> None:
        with translated("listen to", self._uri):
            connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None)
            libvirt_qemu.qemuMonitorEventRegister(connection, None, None, self._monitor, None, 0)

    def _lifecycle(self, _connection: object, domain: libvirt.virDomain, event: int, detail: int, _opaque: object) -> None:
        run = run_of(domain)
        if run is not None:
            self._on_lifecycle(run, event, detail)

    def _monitor(
        self,
        _connection: object,
        domain: libvirt.virDomain,
        event: str,
        _seconds: int,
        _micros: int,
        details: str | None,
        _opaque: object,
    ) -> None:
        run = run_of(domain)
        if run is not None:
            self._on_monitor(run, event, details)


def run_of(domain: libvirt.virDomain) -> RunId | None:
    """The run a domain is named after; None for a domain with any other name."""
    try:
        return RunId.parse(domain.name())
    except InvalidInput:
        return None


def _alive(connection: libvirt.virConnect) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False
