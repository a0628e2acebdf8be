# SPDX-License-Identifier: MIT
"""The engine put together, and what it answers to other processes (contracts.engine.EngineLink). Sockets are labvirt.link's."""

from __future__ import annotations

import json
import logging
import threading
from ipaddress import IPv4Address

from labvirt.contracts.engine import DisplayTicket, EngineStatus
from labvirt.contracts.hypervisor import HypervisorInfo
from labvirt.domain.findings import Finding
from labvirt.domain.guest import Guest
from labvirt.domain.lease import Lease
from labvirt.engine.admission import Admission
from labvirt.engine.carry import Carrier
from labvirt.engine.displays import Displays
from labvirt.engine.labs import Labs
from labvirt.engine.operations import Operations
from labvirt.engine.presence import PresenceBoard
from labvirt.engine.published import Published, Watch
from labvirt.engine.readiness import Readiness, Waited
from labvirt.engine.reconcile import Reconciler
from labvirt.engine.recording import Recording
from labvirt.engine.rows import Rows
from labvirt.engine.start import Starter
from labvirt.engine.stop import Stopper
from labvirt.engine.verify import verify
from labvirt.engine.world import World
from labvirt.errors import GuestNotReady, HostNotReady, HypervisorError, LabVirtError, NotFound

log = logging.getLogger(__name__)

HOST_AGAIN_SECONDS = 30.0


class Engine:
    """Keeps contracts.engine.EngineLink. The caller holds the engine's lock: there is one engine per state folder."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._published = Published()
        self._operations = Operations(world.settings.workers, self._operation_ended)
        self._rows = Rows(world.database, world.clock, self._published)
        self._presence = PresenceBoard(world.clock)
        self._displays = Displays(world, self._operations)
        self._labs = Labs(world, self._operations)
        stopper = Stopper(world, self._rows)
        self._carrier = Carrier(world, self._rows, self._operations, stopper, lambda: self._readiness)
        self._readiness = Readiness(world.probe, world.clock, world.settings.start_timeout_seconds, self._ready, self._carrier.late)
        starter = Starter(world, self._rows, self._labs.problem, self._begun)
        self._admission = Admission(world, self._operations, self._published, self._readiness, starter.start)
        self._reconciler = Reconciler(
            world,
            self._operations,
            self._published,
            self._presence,
            self._displays,
            self._labs,
            self._readiness,
            self._admission,
            self._carrier,
        )
        self._started_at = world.clock.now()
        self._info: HypervisorInfo | None = None
        self._host_problem: HostNotReady | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Guests live on afterwards; operations that go on are given time to end."""
        threading.Thread(target=self._until, args=(stop,), name="engine-stop", daemon=True).start()
        threading.Thread(target=self._know_host, args=(stop,), name="engine-host", daemon=True).start()
        self._world.hypervisor.subscribe(self._reconciler.heard)
        self._readiness.start()
        try:
            self._reconciler.run()
        finally:
            self._readiness.close()
            if not self._operations.close(self._world.settings.drain_seconds):
                log.warning("operations were still going on; the next engine finishes or undoes them")
            self._published.close()
            self._world.hypervisor.close()

    # --- EngineLink

    def status(self) -> EngineStatus:
        info = self._info
        findings = self._reconciler.findings()
        return EngineStatus(
            pid=self._world.pid,
            version=self._world.version,
            driver=info.driver if info else "",
            accelerator=info.accelerator if info else "",
            notice=info.notice if info else str(self._host_problem or "The host is being looked at."),
            started_at=self._started_at,
            reconciled_at=self._reconciler.reconciled_at,
            findings=findings,
            queue=self._admission.waiting(),
        )

    def poke(self) -> None:
        self._reconciler.poke()

    def watch(self) -> Watch:
        return self._published.watch()

    def mint_display(self, guest: str, source: IPv4Address) -> DisplayTicket:
        return self._displays.mint(guest, source)

    def leases(self, lab: str) -> tuple[Lease, ...]:
        return self._world.dhcp.leases(lab)

    def screenshot(self, guest: str) -> bytes:
        row = self._alive(guest)
        assert row.run is not None
        return self._world.hypervisor.screenshot(row.run)

    def reset(self, guest: str) -> None:
        row = self._alive(guest)
        assert row.run is not None
        with self._operations.one(guest, "it is being reset"):
            self._world.hypervisor.reset(row.run)

    def command_line(self, guest: str) -> tuple[str, ...]:
        """From the run's launch record, which the driver keeps beside its disks."""
        row = self._row(guest)
        folder = self._world.disks.open_run(row.run) if row.run is not None else None
        if folder is None:
            raise GuestNotReady(guest, str(row.state))
        record = folder.path / "launch.json"
        try:
            argv = json.loads(record.read_text())["argv"]
            return tuple(str(word) for word in argv)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HypervisorError(f"The launch record of {row.run} cannot be read.", operation="command line", subject=guest) from error

    def verify(self) -> tuple[Finding, ...]:
        return verify(self._world, self._operations, self._labs)

    # --- threads of others

    def _alive(self, guest: str) -> Guest:
        row = self._row(guest)
        if not row.alive or row.run is None:
            raise GuestNotReady(guest, str(row.state))
        return row

    def _row(self, guest: str) -> Guest:
        with self._world.database.read() as work:
            row = work.guests.get(guest)
        if row is None:
            raise NotFound("guest", guest)
        return row

    def _begun(self, recorded: Recording) -> None:
        self._admission.began(recorded.guest.name)
        self._carrier.begun(recorded)

    def _ready(self, waited: Waited) -> None:
        self._carrier.ready(waited)
        self._reconciler.turn_over()

    def _operation_ended(self, guest: str) -> None:
        if self._admission.ended(guest):
            self._reconciler.turn_over()
        elif not guest.startswith("display:"):
            self._reconciler.poke()

    def _until(self, stop: threading.Event) -> None:
        stop.wait()
        self._reconciler.stop()

    def _know_host(self, stop: threading.Event) -> None:
        """Can guests be started here? Asked until the answer is yes; those that run are looked after meanwhile."""
        while not stop.is_set():
            try:
                self._info = self._world.hypervisor.capabilities()
            except LabVirtError as error:
                log.error("%s %s", error, error.hint)
                self._admission.hold = f"full: {error}"
                self._host_problem = error if isinstance(error, HostNotReady) else HostNotReady(str(error), hint=error.hint)
                stop.wait(HOST_AGAIN_SECONDS)
                continue
            self._admission.hold = ""
            self._host_problem = None
            self._reconciler.poke()
            return
