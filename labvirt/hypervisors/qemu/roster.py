# SPDX-License-Identifier: MIT
"""The runs of one state folder as they are found: each living one has a session, made at first sight and kept.

Found by their folders, proven by identity.py. A folder whose monitor nobody holds is a run that has ended.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from labvirt.contracts.hypervisor import Listener, RunEvent
from labvirt.domain.guest import RunId
from labvirt.errors import DriverError, DriverTimeout, InvalidInput
from labvirt.hypervisors import wakers
from labvirt.hypervisors.qemu import identity, layout, record
from labvirt.hypervisors.qemu.agent import AgentChannel
from labvirt.hypervisors.qemu.launch import end_all
from labvirt.hypervisors.qemu.monitor import MonitorLoop
from labvirt.hypervisors.qemu.session import Session
from labvirt.system.priority import give_way
from labvirt.system.process import is_alive
from labvirt.system.sockets import connect_unix

log = logging.getLogger(__name__)

LOOP_SECONDS = 10.0
"""For work of the loop's own, which asks no guest."""


class Roster:
    """Sessions by run. From any thread."""

    def __init__(self, folder: Path, loop: MonitorLoop) -> None:
        self._runs = folder
        self._loop = loop
        self._lock = threading.Lock()
        self._sessions: dict[RunId, Session] = {}
        self._listeners: tuple[Listener, ...] = ()

    def runs(self) -> Iterator[RunId]:
        try:
            names = sorted(entry.name for entry in self._runs.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise DriverError(
                f"The folder of the runs cannot be read: {error.strerror}.", operation="running", subject=str(self._runs)
            ) from error
        for name in names:
            try:
                yield RunId.parse(name)
            except InvalidInput:  # not ours: a file that somebody put there
                continue

    def adopt(self, run: RunId) -> Session | None:
        """The session of a living run, None if it does not live. A clone whose waker died before it had everything has ended: nobody
        knows how far it came.

        Raises DriverTimeout when somebody is there who cannot be proven.
        """
        known = self._sessions.get(run)
        if known is not None and not known.ended.is_set():
            if is_alive(known.process):
                return known
            self.await_told(known)  # the end of this life is told before another one begins
        folder = self._runs / str(run)
        try:
            with connect_unix(folder / layout.QMP_SOCKET, timeout=0) as connection:
                process = identity.prove_peer(folder, connection)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise DriverTimeout(
                f"{run.guest} takes no connection.", operation="adopt", subject=run.guest, hint="Kill it if it stays so."
            ) from error
        if process is None:
            raise DriverTimeout(
                f"Something holds the monitor of {run.guest} and is not known to be its QEMU.",
                operation="adopt",
                subject=run.guest,
                hint="It may be starting; kill it if it stays so.",
            )

        launched = record.read(folder)
        if launched is not None and launched.waker and not wakers.is_going(launched.waker):
            log.warning("%s was being woken when its controller ended: it is ended too", run)
            end_all(folder)
            return None

        async def begin() -> Session:
            channel = AgentChannel(folder, run.guest, held=launched is None or not launched.on_trial)
            session = Session(run, folder, process, self._tell, channel, cap=None if launched is None else launched.cap)
            session.begin()
            return session

        with self._lock:
            known = self._sessions.get(run)
            if known is None or known.ended.is_set():
                known = self._loop.call(begin(), timeout=LOOP_SECONDS, subject=run.guest)
                self._sessions[run] = known
                give_way(process)  # to the starts of others, and to who answers people
            return known

    def await_told(self, session: Session) -> None:
        """The end of a run whose process is gone has been told."""
        self._loop.call(session.told(), timeout=LOOP_SECONDS, subject=session.run.guest)

    def subscribe(self, listener: Listener) -> None:
        """From now on `listener` hears every event."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def let_go(self) -> None:
        """No session, no listener; the guests run on."""
        with self._lock:
            sessions, self._sessions = tuple(self._sessions.values()), {}
            self._listeners = ()

        async def let_go() -> None:
            for session in sessions:
                session.let_go()

        self._loop.call(let_go(), timeout=LOOP_SECONDS, subject="The monitor thread")

    def _tell(self, event: RunEvent) -> None:
        # Without the lock: it may be held by a thread that waits for this one.
        log.debug("%s: %s %s", event.run, event.kind, event.detail)
        for listener in self._listeners:
            # By the loop: a listener that raises is reported there, and costs the others nothing.
            asyncio.get_running_loop().call_soon(listener, event)
