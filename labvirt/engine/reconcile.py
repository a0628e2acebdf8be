# SPDX-License-Identifier: MIT
"""The loop: observe, plan (domain.plan), carry out. Woken by wishes, events and ended operations, and every few seconds by itself.

The loop writes rows and hands work to the workers; it never waits for one guest.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from labvirt.contracts.hypervisor import Capability, EventKind, HypervisorInfo, RunEvent, RunStatus
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.observed import Memory, Observation, ObservedPorts
from labvirt.domain.plan import Limits, Plan, plan
from labvirt.engine.admission import Admission
from labvirt.engine.boot import start_early
from labvirt.engine.carry import Carrier
from labvirt.engine.displays import Displays
from labvirt.engine.keeping import Keeping
from labvirt.engine.labs import Labs
from labvirt.engine.logins import Logins
from labvirt.engine.observe import Observer, Reality, Wishes, observed_run
from labvirt.engine.operations import Operations
from labvirt.engine.presence import PresenceBoard
from labvirt.engine.published import Published
from labvirt.engine.readiness import Readiness
from labvirt.engine.spares import Spares
from labvirt.engine.world import World
from labvirt.errors import DatabaseError, LabVirtError

log = logging.getLogger(__name__)

REMEMBERED_ENDINGS = 4096

CLOSE_SECONDS = 1.0
"""Folders and network are looked at at most so often while much happens, and once more so soon after the last thing that happened."""


class Reconciler:
    """`poke`, `heard` and `turn_over` may be called from any thread; everything else happens on the loop's."""

    def __init__(
        self,
        world: World,
        operations: Operations,
        published: Published,
        presence: PresenceBoard,
        displays: Displays,
        logins: Logins,
        labs: Labs,
        readiness: Readiness,
        admission: Admission,
        carrier: Carrier,
        keeping: Keeping,
        spares: Spares,
        info: Callable[[], HypervisorInfo | None],
    ) -> None:
        self._world = world
        self._operations = operations
        self._published = published
        self._presence = presence
        self._displays = displays
        self._logins = logins
        self._labs = labs
        self._readiness = readiness
        self._admission = admission
        self._carrier = carrier
        self._keeping = keeping
        self._spares = spares
        self._info = info
        self._observer = Observer(world)
        self._memory = Memory()
        self._shut_down: dict[RunId, None] = {}
        self._wake = threading.Condition()
        self._look = True
        self._turn = False
        self._stopping = False
        self._thorough_at = float("-inf")
        self._round_due: float | None = None
        self._turn_due: float | None = None
        self._flows_at = float("-inf")
        self._findings: tuple[Finding, ...] = ()
        self._remains: tuple[Finding, ...] = ()
        self.reconciled_at: datetime | None = None

    # --- from any thread

    def poke(self) -> None:
        with self._wake:
            self._look = True
            self._wake.notify()

    def heard(self, event: RunEvent) -> None:
        """The drivers' listener: returns at once."""
        self._presence.heard(event)
        if event.kind is EventKind.VIEWER_CONNECTED:
            self._displays.used(event.run)
        elif event.kind is EventKind.GUEST_SHUTDOWN:
            self._shut_down[event.run] = None
        self.poke()

    def turn_over(self) -> None:
        """A start went well: somebody else may have his turn; nothing else has changed."""
        with self._wake:
            self._turn = True
            self._wake.notify()

    def findings(self) -> tuple[Finding, ...]:
        found = (*self._observer.trouble.values(), *self._labs.findings(), *self._spares.findings(), *self._findings, *self._remains)
        return tuple(dict.fromkeys(found))

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()

    # --- the loop

    def run(self) -> None:
        """Until `stop`. What goes wrong in a round is a finding; the loop goes on."""
        while not self._is_stopping():
            if self._look_now():
                self._round_due, self._turn_due = self.round(), None  # a round has a turn in it
            else:
                self._turn_due = self.turn()
            with self._wake:
                self._wake.wait_for(lambda: self._look or self._turn or self._stopping, max(0.0, self._pause()))
                if not self._turn:
                    self._look = True

    def _is_stopping(self) -> bool:
        with self._wake:
            return self._stopping

    def _look_now(self) -> bool:
        """A look is due (it includes a turn), or only a turn."""
        with self._wake:
            look = self._look or self._pause() <= 0
            self._look = self._turn = False
            return look

    def _pause(self) -> float:
        dues = (self._thorough_at + self._world.settings.reconcile_seconds, self._round_due, self._turn_due)
        return min(due for due in dues if due is not None) - self._world.clock.monotonic()

    def turn(self) -> float | None:
        """Let start who may now. Returns when the queue should be looked at again (monotonic)."""
        try:
            return self._admission.admit()
        except DatabaseError as error:
            self._trouble("database-unwritable", error)
            return None

    def round(self) -> float | None:
        """Look at everything once, and do what follows. Returns when something will be due (monotonic), if that is known."""
        world = self._world
        now = world.clock.monotonic()
        close = min(CLOSE_SECONDS, world.settings.reconcile_seconds)
        thorough = now - self._thorough_at >= close
        marks = self._operations.marks()
        busy = self._operations.busy()
        heard = self._presence.marks()
        reality = self._observer.reality(thorough=thorough)
        wishes = self._observer.wishes()
        self._flows(now, wishes)
        if reality.runs is not None:
            self._presence.observed(reality.runs, heard)
        moved = self._operations.marks()
        busy |= self._operations.busy() | {name for name in moved if moved[name] != marks.get(name, 0)}
        if thorough:
            self._thorough_at = now
        if wishes is None:
            return self._revoke_due()
        if reality.runs is not None:
            self._logins.adopt(wishes.guests, wishes.profiles)
        self._tell(wishes, busy)
        self._labs_look(wishes, reality)
        seen = self._observation(now, wishes, reality, busy)
        planned = plan(seen, self._memory, Limits(attempts=world.settings.start_attempts))
        self._memory = planned.memory
        self._note_findings(planned, thorough)
        dues = [planned.wake, self._revoke_due(), None if thorough else self._thorough_at + close]
        if thorough:
            self._make_room()
        try:
            dues.append(self._act(planned, wishes, reality, busy))
            self._observer.trouble.pop("database-unwritable", None)
        except DatabaseError as error:
            self._trouble("database-unwritable", error)
        if reality.runs is not None:
            self.reconciled_at = world.clock.now()
        return min((due for due in dues if due is not None), default=None)

    def _act(self, planned: Plan, wishes: Wishes, reality: Reality, busy: frozenset[str]) -> float | None:
        if reality.runs is None:
            return None
        living = frozenset(status.run.guest for status in reality.runs)
        if start_early(self._world, wishes.labs, wishes.profiles, living | busy):
            self.poke()
        waiting = self._carrier.carry(planned.actions, {guest.name: guest for guest in wishes.guests})
        self._admission.renew(waiting, wishes, len(living))
        while len(self._shut_down) > REMEMBERED_ENDINGS:
            self._shut_down.pop(next(iter(self._shut_down)))
        due = self._admission.admit()
        self._spares.look(wishes, busy, "seats wait for their start" if self._admission.waiting() else "", len(living))
        return due

    def _observation(self, now: float, wishes: Wishes, reality: Reality, busy: frozenset[str]) -> Observation:
        network = reality.network
        rows = {guest.name: guest for guest in wishes.guests}
        runs = reality.runs
        return Observation(
            now=now,
            guests=wishes.guests,
            runs=None if runs is None else tuple(observed_run(s, viewed=self._viewed(s, rows)) for s in runs),
            folders=reality.folders,
            ports=None if network is None else ObservedPorts(taps=network.taps, filtered=network.filtered),
            labs={lab.name: lab for lab in wishes.labs},
            busy=busy,
            awaiting=frozenset(waited.run for waited in self._readiness.waited()),
            shut_down=frozenset(self._shut_down),
            disk_room=self._disk_room(runs),
            wall=self._world.clock.now(),
            profiles={profile.name: profile for profile in wishes.profiles},
            written=self._written(reality),
            spares=frozenset(spare.run for spare in wishes.spares),
            keeps=self._world.settings.keep_overlays,
        )

    def _written(self, reality: Reality) -> Mapping[RunId, int] | None:
        """None: the driver looks at overlay caps itself. While nobody has said whether it does, nothing is known of any run."""
        info = self._info()
        if info is None:
            return {}
        return None if Capability.OVERLAY_CAP in info.capabilities else reality.written

    def _make_room(self) -> None:
        if self._observer.attempt("disks-unknown", self._keeping.crowded):
            self._operations.submit("kept:", "what was kept makes room", self._keeping.make_room)

    def _revoke_due(self) -> float | None:
        dues = (self._displays.revoke_due(), self._logins.revoke_due())
        return min((due for due in dues if due is not None), default=None)

    def _viewed(self, status: RunStatus, rows: dict[str, Guest]) -> bool:
        presence = self._presence.of(status.run.guest, status.run)
        row = rows.get(status.run.guest)
        return presence.display or (presence.flow and row is not None and row.run == status.run)

    def _disk_room(self, runs: tuple[RunStatus, ...] | None) -> bool:
        if not any(status.state.value == "paused" for status in runs or ()):
            return True
        free = self._observer.attempt("disks-unknown", self._world.disks.free_mib)
        try:
            return free is not None and free >= self._world.host().disk_reserve_mib
        except DatabaseError:
            return False

    def _flows(self, now: float, wishes: Wishes | None) -> None:
        if wishes is None or now - self._flows_at < self._world.settings.flow_seconds:
            return
        self._flows_at = now
        labs = {lab.name: lab for lab in wishes.labs}
        addresses = {labs[g.lab].identity(g.seat).address: g.name for g in wishes.guests if g.lab in labs and g.run}
        flows = self._observer.attempt("flows-unknown", self._world.network.flows)
        if flows is not None:
            self._presence.flowing(flows, addresses)
            self._logins.seen({(addresses[each.destination], each.source) for each in flows if each.destination in addresses})

    def _tell(self, wishes: Wishes, busy: frozenset[str]) -> None:
        self._published.keep_only(guest.name for guest in wishes.guests)
        for guest in wishes.guests:
            self._published.put(guest, sure=guest.name not in busy)
            self._published.presence(self._presence.of(guest.name, guest.run))

    def _labs_look(self, wishes: Wishes, reality: Reality) -> None:
        runs = reality.runs
        labs = {lab.name: lab for lab in wishes.labs}
        rows = {guest.name: guest.lab for guest in wishes.guests}
        if runs is None:
            return  # a lab might be inhabited
        inhabited = frozenset(rows.get(status.run.guest, status.run.guest.rpartition("-")[0]) for status in runs)
        self._labs.look(labs, wishes.terminals, reality.network, reality.serving, inhabited)

    def _note_findings(self, planned: Plan, thorough: bool) -> None:
        remains = tuple(f for f in planned.findings if f.code.startswith(("folder-", "tap-", "port-")))
        if thorough:
            self._remains = remains
        new = tuple(f for f in planned.findings if f not in remains)
        for finding in new:
            if finding not in self._findings:
                log.warning("%s %s", finding.sentence, finding.fix)
        self._findings = new

    def _trouble(self, code: str, error: LabVirtError) -> None:
        if code not in self._observer.trouble:
            log.warning("%s", error)
        sentence = f"{error} What runs is kept; nothing new is begun until it can be written down."
        self._observer.trouble = {
            **self._observer.trouble,
            code: Finding(code=code, severity=Severity.ERROR, sentence=sentence, fix=error.hint),
        }
