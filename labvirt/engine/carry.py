# SPDX-License-Identifier: MIT
"""Carrying out a plan: rows are written here and now, everything that touches a machine goes to the workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from labvirt.domain import actions as act
from labvirt.domain.guest import Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.engine.keeping import Keeping, lives
from labvirt.engine.launch import port_for
from labvirt.engine.operations import Operations
from labvirt.engine.readiness import Readiness, Waited
from labvirt.engine.recording import Recording
from labvirt.engine.rows import Rows
from labvirt.engine.stop import Stopper
from labvirt.engine.world import World
from labvirt.errors import Conflict, DatabaseError, LabVirtError

log = logging.getLogger(__name__)

CLEAR_AGAIN_SECONDS = 30.0


class Carrier:
    """`carry` is called by the loop; `begun` by workers; `ready` and `late` by the waiting thread."""

    def __init__(
        self, world: World, rows: Rows, operations: Operations, stopper: Stopper, keeping: Keeping, readiness: Callable[[], Readiness]
    ) -> None:
        self._world = world
        self._rows = rows
        self._operations = operations
        self._stopper = stopper
        self._keeping = keeping
        self._readiness = readiness
        self._clear_again: dict[str, float] = {}

    def carry(self, actions: tuple[act.Action, ...], rows: Mapping[str, Guest]) -> tuple[Guest, ...]:
        """Everything is done or handed over; returns the guests that may start when it is their turn. Raises DatabaseError."""
        waiting = []
        for action in actions:
            if isinstance(action, act.Quarantine):
                continue
            if isinstance(action, act.Start):
                waiting.append(rows[action.guest])
                continue
            try:
                self._one(action)
            except Conflict as error:
                log.info("%s: %s", action.guest, error)  # the row has moved on; the next round sees it
        return tuple(waiting)

    def _one(self, action: act.Action) -> None:
        rows, guest, generation = self._rows, action.guest, action.generation  # type: ignore[union-attr]
        match action:
            case act.Note(state=state, reason=reason):
                quiet = {GuestState.RUNNING, GuestState.CONNECTED, GuestState.WANTED}
                rows.move(guest, generation, state, reason, "" if state in quiet else f"is {state}: {reason}")
            case act.Adopt(run=run):
                what = f"{run} was found running and serves this seat now"
                rows.change(guest, generation, lambda row: self._adopted(row, action), what)
            case act.AwaitReady(run=run):
                self._await(guest, generation, run)
            case act.Retry(reason=reason):
                rows.failed(guest, generation, reason, self._world.settings.start_attempts)
            case act.MarkFailed(reason=reason):
                rows.failed(guest, generation, reason, self._world.settings.start_attempts)  # unless the host is to blame
            case act.MarkStopped():
                what = action.reason or "is off"
                rows.change(guest, generation, lambda row: self._stopped(row, action), what)
            case act.Refresh(why=why):
                rows.change(guest, generation, self._refreshed, why)
            case act.Retire(why=why):
                rows.change(guest, generation, lambda row: row.unwanted(StopHow.STOP), why)
            case act.Settle():
                rows.change(guest, generation, lambda row: replace(row, failures=0))
            case act.Stop():
                self._operations.submit(guest, "it is being stopped", lambda: self._stopper.stop(action))
            case act.Pause():
                self._operations.submit(guest, "it is being paused", lambda: self._stopper.pause(action))
            case act.Resume():
                self._operations.submit(guest, "it is being resumed", lambda: self._stopper.resume(action))
            case act.Replug():
                self._clear(guest, "its filters are being set", lambda: self._replug(action))
            case act.Unplug():
                self._clear(guest, "its port is being removed", lambda: self._unplug(action))
            case act.RemoveRun():
                self._clear(guest, "its old folder is being removed", lambda: self._remove(action))
            case act.KeepRun():
                self._clear(guest, "what it has written is being kept", lambda: self._keep(action))

    # --- rows

    def _adopted(self, row: Guest, action: act.Adopt) -> Guest:
        row = self._rows.moved(row, action.state, action.reason)
        return replace(row, run=action.run, generation=max(row.generation, action.run.generation))

    def _refreshed(self, row: Guest) -> Guest:
        fresh = row.wanted(self._world.clock.now(), fresh=True)
        return fresh if row.purpose is not Purpose.SEAT else replace(fresh, cdrom="", boot_cdrom=False)

    def _stopped(self, row: Guest, action: act.MarkStopped) -> Guest:
        if action.from_inside:
            row = row.unwanted(StopHow.SHUTDOWN)
        elif row.wish is Wish.RUNNING:
            return row
        if row.state is GuestState.STOPPED:
            return row
        return self._rows.moved(row, GuestState.STOPPED, action.reason)

    # --- readiness

    def begun(self, recorded: Recording) -> None:
        """Its machine runs."""
        self._wait(recorded.guest, recorded.profile.ready_port, recorded)

    def _await(self, guest: str, generation: int, run: RunId) -> None:
        with self._world.database.read() as work:
            row = work.guests.get(guest)
            profile = work.profiles.get(row.profile) if row is not None and row.profile else None
        if row is not None and row.generation == generation and row.run == run:
            self._wait(row, profile.ready_port if profile else None, None)

    def _wait(self, row: Guest, port: int | None, recorded: Recording | None) -> None:
        assert row.run is not None
        with self._world.database.read() as work:
            lab = recorded.lab if recorded else work.labs.get(row.lab)
        if port is None or lab is None:
            self._rows.move(row.name, row.generation, GuestState.RUNNING, what="is running")
            return
        address = lab.identity(row.seat).address
        if self._rows.move(row.name, row.generation, GuestState.STARTING, f"it boots; waiting for {address} port {port}"):
            self._readiness().wait_for(row.name, row.generation, row.run, (address, port))

    def ready(self, waited: Waited) -> None:
        try:
            self._rows.move(waited.guest, waited.generation, GuestState.RUNNING, what="is running and answers")
        except DatabaseError as error:
            log.warning("%s: %s", waited.guest, error)  # still STARTING: the next round waits for it again

    def late(self, waited: Waited) -> None:
        address, port = waited.place
        seconds = self._world.settings.start_timeout_seconds
        why = f"it did not answer on {address} port {port} within {seconds:.0f} s"
        self._operations.submit(
            waited.guest,
            "it is being given up",
            lambda: self._stopper.give_up(waited.guest, waited.generation, waited.run, why),
        )

    # --- what is cleared away: the row is looked at once more

    def _clear(self, guest: str, name: str, deed: Callable[[], None]) -> None:
        """Nobody waits for it: after a failure it is left for CLEAR_AGAIN_SECONDS."""
        if self._world.clock.monotonic() < self._clear_again.get(guest, float("-inf")):
            return

        def careful() -> None:
            try:
                deed()
            except LabVirtError:
                self._clear_again[guest] = self._world.clock.monotonic() + CLEAR_AGAIN_SECONDS
                raise

        self._operations.submit(guest, name, careful)

    def _row(self, guest: str, generation: int) -> Guest | None:
        with self._world.database.read() as work:
            row = work.guests.get(guest)
        return row if row is not None and row.generation == generation else None

    def _remove(self, action: act.RemoveRun) -> None:
        row = self._row(action.guest, action.generation)
        if row is not None and not lives(self._world, action.run):
            self._world.disks.remove_run(action.run)

    def _keep(self, action: act.KeepRun) -> None:
        row = self._row(action.guest, action.generation)
        if row is not None and not lives(self._world, action.run):
            self._keeping.keep(row, action.run, action.why)

    def _unplug(self, action: act.Unplug) -> None:
        row = self._row(action.guest, action.generation)
        if row is not None and row.state in (GuestState.STOPPED, GuestState.FAILED):
            self._world.network.unplug(action.tap)

    def _replug(self, action: act.Replug) -> None:
        row = self._row(action.guest, action.generation)
        if row is None:
            return
        with self._world.database.read() as work:
            lab = work.labs.get(row.lab)
        if lab is not None:
            self._world.network.plug(port_for(self._world, lab, row.seat))
