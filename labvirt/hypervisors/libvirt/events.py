# SPDX-License-Identifier: MIT
"""What libvirt and QEMU tell by themselves, as RunEvents: names and details in, events out.

libvirt's own events say how a run lives and ends; QEMU's (by libvirt_qemu) say who looks and why it stopped: libvirt's graphics event
does not tell a viewer's main channel from its other five.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import libvirt

from labvirt.contracts.hypervisor import EventKind, RunEvent
from labvirt.domain.guest import RunId
from labvirt.hypervisors.libvirt.viewers import Address, Later, Timer, Viewers, on_a_thread, parse_object

DISK_FULL = "the disk of the host is full"
DISK_ERROR = "its disk could not be written"
STOPPED = "it was stopped"

_ENDINGS = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "it switched itself off",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: STOPPED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "QEMU ended without a word",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "QEMU could not go on",
}


class Ears:
    """Thread-safe. Runs that were not made known (`know`) are other people's domains: they are not heard."""

    def __init__(self, tell: Callable[[RunEvent], None], later: Later = on_a_thread) -> None:
        self._tell = tell
        self._later = later
        self._lock = threading.RLock()
        self._runs: dict[RunId, Viewers] = {}
        self._trouble: dict[RunId, str] = {}
        self._paused: set[RunId] = set()

    def know(self, run: RunId, viewers: frozenset[Address] | None = None, *, paused: bool = False) -> None:
        """From now the run is ours; `viewers` are those that QEMU names now."""
        with self._lock:
            known = self._runs.get(run)
            if known is None:
                known = self._runs[run] = Viewers(partial(self._viewer, run), self._locked_later)
            if viewers is not None:
                known.compare(viewers)
            if paused:
                self._paused.add(run)

    def forget(self, run: RunId) -> None:
        with self._lock:
            viewers = self._runs.pop(run, None)
            if viewers is not None:
                viewers.let_go()
            self._trouble.pop(run, None)
            self._paused.discard(run)

    def close(self) -> None:
        """Nobody is heard any more."""
        with self._lock:
            for run in tuple(self._runs):
                self.forget(run)

    def lifecycle(self, run: RunId, event: int, detail: int) -> None:
        """One event of libvirt (virDomainEventType)."""
        with self._lock:
            if run not in self._runs:
                return
            if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
                self.forget(run)
                self._say(run, EventKind.ENDED, _ENDINGS.get(detail, "it ended"))
            elif event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
                self._paused.add(run)
                of_disk = detail == libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR
                self._say(run, EventKind.PAUSED, self._trouble.get(run, DISK_ERROR if of_disk else STOPPED))
            elif event == libvirt.VIR_DOMAIN_EVENT_RESUMED:
                self._trouble.pop(run, None)
                if run in self._paused:  # libvirt starts every domain paused: its first resuming is no news
                    self._paused.remove(run)
                    self._say(run, EventKind.RESUMED)
            elif event == libvirt.VIR_DOMAIN_EVENT_SHUTDOWN and detail == libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST:
                self._say(run, EventKind.GUEST_SHUTDOWN)

    def trouble(self, run: RunId, reason: str) -> None:
        """Its next pause is because of this."""
        with self._lock:
            if run in self._runs:
                self._trouble[run] = reason

    def monitor(self, run: RunId, event: str, details: str | None) -> None:
        """One event of QEMU (docs/interop/qemu-qmp-ref)."""
        data = parse_object(details)
        client = data.get("client")
        with self._lock:
            viewers = self._runs.get(run)
            if viewers is None:
                return
            if event == "RESET":
                self._say(run, EventKind.RESET)
            elif event == "BLOCK_IO_ERROR" and data.get("action") == "stop":
                self._trouble[run] = DISK_FULL if data.get("nospace") else DISK_ERROR
            elif event == "SPICE_INITIALIZED" and isinstance(client, dict):
                viewers.initialized(client)
            elif event == "SPICE_DISCONNECTED" and isinstance(client, dict):
                viewers.disconnected(client)

    def _locked_later(self, seconds: float, work: Callable[[], None]) -> Timer:
        def locked() -> None:
            with self._lock:
                work()

        return self._later(seconds, locked)

    def _viewer(self, run: RunId, kind: EventKind, peer: str) -> None:
        self._tell(RunEvent(run=run, kind=kind, peer=peer))

    def _say(self, run: RunId, kind: EventKind, detail: str = "") -> None:
        self._tell(RunEvent(run=run, kind=kind, detail=detail))
