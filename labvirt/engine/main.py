# SPDX-License-Identifier: MIT
"""The engine put together, and what it answers to other processes (contracts.engine.EngineLink). Sockets are labvirt.link's."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from ipaddress import IPv4Address

from labvirt.contracts.engine import DisplayTicket, EngineLink, EngineStatus, PoolStatus, TemplateReport
from labvirt.contracts.hypervisor import Capability, HypervisorInfo
from labvirt.domain.addresses import MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.findings import Finding
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.host import HostLoad
from labvirt.domain.lease import Lease
from labvirt.domain.profile import Protocol
from labvirt.domain.template import TemplateName
from labvirt.engine import foreign
from labvirt.engine.admission import Admission
from labvirt.engine.attending import Attending
from labvirt.engine.carry import Carrier
from labvirt.engine.chores import Chores
from labvirt.engine.displays import Displays
from labvirt.engine.forecast import CLONE, how_of
from labvirt.engine.freezing import freeze
from labvirt.engine.gauge import Gauge
from labvirt.engine.jobs import Workshop
from labvirt.engine.keeping import Keeping
from labvirt.engine.labs import Labs
from labvirt.engine.launch import preview
from labvirt.engine.logins import Logins
from labvirt.engine.operations import Operations
from labvirt.engine.presence import PresenceBoard
from labvirt.engine.published import Published, Watch
from labvirt.engine.readiness import Readiness, Waited
from labvirt.engine.reconcile import Reconciler
from labvirt.engine.recording import Recording
from labvirt.engine.rows import Rows
from labvirt.engine.settling import Settling
from labvirt.engine.spares import Spares
from labvirt.engine.start import Starter
from labvirt.engine.stop import Stopper
from labvirt.engine.templates import HostTemplates
from labvirt.engine.verify import verify
from labvirt.engine.world import World
from labvirt.errors import GuestNotReady, HostNotReady, HypervisorError, LabVirtError, NotFound, Unsupported
from labvirt.usecases.ports import Ports

log = logging.getLogger(__name__)

HOST_AGAIN_SECONDS = 30.0
FIRST_LOOK_SECONDS = 5.0
"""So long who asks for templates of an engine that has just begun waits for its first look at the host."""

RECORD_BYTES = 1 << 20


class Engine:
    """Keeps contracts.engine.EngineLink. The caller holds the engine's lock: there is one engine per state folder."""

    def __init__(
        self,
        world: World,
        ports: Callable[[EngineLink], Ports] | None = None,
        doctor: Callable[[], tuple[Finding, ...]] = tuple,
    ) -> None:
        """`ports` makes the doors of the jobs that are done here, with this engine behind them; None: no jobs and no chores.
        `doctor` makes all checks of the host."""
        self._world = world
        self._published = Published()
        self._operations = Operations(world.settings.workers, self._operation_ended)
        self._gauge = Gauge(world)
        self._rows = Rows(world.database, world.clock, self._published, self._gauge.excuse)
        self._presence = PresenceBoard(world.clock)
        self._displays = Displays(world, self._operations)
        self._logins = Logins(world, self._operations, lambda: self._info)
        self._labs = Labs(world, self._operations)
        stopper = Stopper(world, self._rows)
        keeping = Keeping(world)
        self._info: HypervisorInfo | None = None
        self._host_problem: HostNotReady | None = None
        self._looked = threading.Event()
        self._carrier = Carrier(world, self._rows, self._operations, stopper, keeping, lambda: self._readiness)
        self._readiness = Readiness(world.probe, world.clock, world.settings.start_timeout_seconds, self._ready, self._carrier.late)
        self._templates = HostTemplates(world, lambda: self._info)
        self._attending = Attending(world)
        self._spares = Spares(world, self._rows, self._operations, self._templates, self._attending.rank)
        starter = Starter(world, self._rows, self._labs.problem, self._begun, keeping, lambda: self._info, self._templates, self._spares)
        self._settling = Settling(world)
        self._admission = Admission(
            world,
            self._operations,
            self._published,
            self._readiness,
            self._settling,
            starter.start,
            gauge=self._gauge,
            attending=self._attending,
        )
        self._reconciler = Reconciler(
            world,
            self._operations,
            self._published,
            self._presence,
            self._displays,
            self._logins,
            self._labs,
            self._readiness,
            self._admission,
            self._carrier,
            keeping,
            self._spares,
            lambda: self._info,
        )
        self._doctor = doctor
        doors = ports(self) if ports is not None else None
        self._workshop = Workshop(doors, world.settings.jobs_at_once) if doors else None
        self._chores = Chores(doors, world.settings.chore_seconds) if doors else None
        self._started_at = world.clock.now()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Guests live on afterwards; operations that go on are given time to end."""
        threading.Thread(target=self._until, args=(stop,), name="engine-stop", daemon=True).start()
        threading.Thread(target=self._know_host, args=(stop,), name="engine-host", daemon=True).start()
        self._world.hypervisor.subscribe(self._reconciler.heard)
        self._readiness.start()
        if self._workshop is not None and self._chores is not None:
            self._workshop.start()
            self._chores.start()
        try:
            self._reconciler.run()
        finally:
            self._close()

    def _close(self) -> None:
        """Jobs let go while operations end: both have the same time."""
        seconds, clock = self._world.settings.drain_seconds, self._world.clock
        deadline = clock.monotonic() + seconds
        self._readiness.close()
        if self._workshop is not None and self._chores is not None:
            self._workshop.stop()
            self._chores.close(seconds)
            if not self._workshop.join(max(0.0, deadline - clock.monotonic())):
                log.warning("a job did not let go in time; it is begun again by the next engine")
        if not self._operations.close(max(0.0, deadline - clock.monotonic())):
            log.warning("operations were still going on; the next engine finishes or undoes them")
        self._published.close()
        self._world.hypervisor.close()

    # --- EngineLink

    def status(self) -> EngineStatus:
        info, bearing = self._info, self._gauge.now()
        findings = (*self._reconciler.findings(), *(self._chores.findings() if self._chores else ()))
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
            load=self._load(),
            starts_at_once=bearing.starts if bearing else None,
            starts_held=bearing.why if bearing else "",
        )

    def _load(self) -> HostLoad | None:
        try:
            return self._world.machine.load()
        except (LabVirtError, OSError):
            return None

    def poke(self) -> None:
        self._reconciler.poke()
        if self._workshop is not None and self._chores is not None:
            self._workshop.poke()
            self._chores.poke()

    def watch(self) -> Watch:
        return self._published.watch()

    def mint_display(self, guest: str, source: IPv4Address) -> DisplayTicket:
        if self._spares.taken(guest):
            self._reconciler.poke()
        with self._world.database.read() as work:
            row = work.guests.get(guest)
            lab = work.labs.get(row.lab) if row else None
            profile = work.profiles.get(row.profile) if row and row.profile else None
        if row and lab and profile and profile.protocol is Protocol.RDP and profile.user is not None:
            return self._logins.mint(row, lab, profile.user, source)
        return self._displays.mint(guest, source)

    def leases(self, lab: str) -> tuple[Lease, ...]:
        return foreign.leases(self._world, lab)

    def demand_seconds(self, guest: str) -> float | None:
        row = self._alive(guest)
        pid = next((status.pid for status in self._world.hypervisor.running() if status.run == row.run), None)
        return None if pid is None else self._world.machine.demand_seconds(pid)

    def screenshot(self, guest: str) -> bytes:
        row = self._alive(guest)
        assert row.run is not None
        return self._world.hypervisor.screenshot(row.run)

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        row = self._alive(run.guest)
        if row.run != run:
            raise GuestNotReady(run.guest, "started anew")
        info = self._info
        if info is not None and Capability.CONSOLE not in info.capabilities:
            raise Unsupported(Capability.CONSOLE, info.driver)
        return self._world.hypervisor.open_console(run, kind)

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
            # The folder is the guest's own: what lies there may be a link, a pipe, or endless.
            with os.fdopen(os.open(record, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                argv = json.loads(file.read(RECORD_BYTES))["argv"]
            return tuple(str(word) for word in argv)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise HypervisorError(f"The launch record of {row.run} cannot be read.", operation="command line", subject=guest) from error

    def preview(self, profile: str, lab: str, seat: int) -> tuple[str, ...]:
        return self._world.hypervisor.command_line(preview(self._world, profile, lab, seat))

    def wake(self, lab: str, macs: tuple[MacAddress, ...]) -> None:
        with self._world.database.read() as work:
            bridge = work.labs.one(lab).bridge
        self._world.network.wake(bridge, macs)
        self._attending.woken(macs)

    def in_front(self, guest: str, seconds: int) -> None:
        self._attending.touched(guest, seconds)

    def verify(self) -> tuple[Finding, ...]:
        return verify(self._world, self._operations, self._labs)

    def templates(self) -> TemplateReport:
        self._looked.wait(FIRST_LOOK_SECONDS)
        return self._templates.report()

    def pools(self) -> tuple[PoolStatus, ...]:
        return self._spares.report()

    def freeze(self, guest: str, template: str) -> None:
        freeze(self._world.database, self._rows, self._operations, self._templates, guest, TemplateName.parse(template))

    def remove_template(self, template: str) -> None:
        self._templates.remove(TemplateName.parse(template))

    def doctor(self) -> tuple[Finding, ...]:
        return self._doctor()

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
        written = self._published.guest(recorded.guest.name)
        how = how_of(written.origin if written else "")
        # A clone answers before its lease comes, for nothing in it boots: its place is free.
        settles = recorded.profile.ready_port is None and how != CLONE
        boots = recorded.profile.ready_port is not None or (settles and self._world.settings.settle_seconds > 0)
        if settles:
            self._settling.begun(recorded.guest.name, recorded.lab, recorded.identity.mac)
        self._admission.began(recorded.guest.name, boots=boots, shows=recorded.profile.ready_port is None, how=how)
        self._carrier.begun(recorded)

    def _ready(self, waited: Waited) -> None:
        self._carrier.ready(waited)
        self._admission.answered(waited.guest)
        self._reconciler.turn_over()

    def _operation_ended(self, guest: str) -> None:
        if self._admission.ended(guest):
            self._reconciler.turn_over()
        elif not guest.startswith(("display:", "login:")):
            self._reconciler.poke()

    def _until(self, stop: threading.Event) -> None:
        stop.wait()
        if self._workshop is not None:
            self._workshop.stop()
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
                self._looked.set()
                stop.wait(HOST_AGAIN_SECONDS)
                continue
            self._admission.hold = ""
            self._host_problem = None
            self._looked.set()
            self._reconciler.poke()
            return
