# SPDX-License-Identifier: MIT
"""One stop, and what else is done to a living run: pause, resume, and giving up one that never got ready."""

from __future__ import annotations

import logging

from labvirt.domain import actions as act
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow, Wish
from labvirt.engine.rows import Rows, one_sentence
from labvirt.engine.world import World
from labvirt.errors import DriverError

log = logging.getLogger(__name__)


class Stopper:
    """Runs on a worker's thread, as the guest's only operation. Each operation raises DatabaseError before anything was done."""

    def __init__(self, world: World, rows: Rows) -> None:
        self._world = world
        self._rows = rows

    def stop(self, action: act.Stop) -> None:
        """The run is gone afterwards (SHUTDOWN: its button was pressed) and the row says so; or the row says why it is not."""
        how = {
            StopHow.SHUTDOWN: "its power button is being pressed",
            StopHow.STOP: "it is being switched off",
            StopHow.KILL: "it is being killed",
        }[action.how]

        def begin(row: Guest) -> Guest:
            if not action.own or row.wish is Wish.RUNNING:
                return row if not action.own else self._rows.moved(row, GuestState.WANTED, "the run before is being ended")
            return self._rows.moved(row, GuestState.STOPPING, how)

        log.info("%s: %s (%s)", action.run, how, action.why)
        if self._rows.change(action.guest, action.generation, begin, f"{action.run}: {how}, because {action.why}") is None:
            return
        try:
            self._world.hypervisor.stop(action.run, action.how)
        except DriverError as error:
            log.warning("%s: %s", action.run, error)
            self._note_trouble(action, error)
            return
        if action.own and action.how is StopHow.SHUTDOWN:
            self._say(action, "its power button was pressed")
        elif action.own:
            self._gone(action)

    def resume(self, action: act.Resume) -> None:
        """It goes on, or stays paused and says so."""
        self._world.hypervisor.resume(action.run)
        self._rows.move(action.guest, action.generation, GuestState.RUNNING, what="goes on after a pause")

    def pause(self, action: act.Pause) -> None:
        """It stands still, and its row says why."""
        self._world.hypervisor.pause(action.run)
        self._rows.move(action.guest, action.generation, GuestState.PAUSED, action.reason, f"is paused: {action.reason}")

    def give_up(self, guest: str, generation: int, run: RunId, why: str) -> None:
        """A run that never got ready is switched off; the row counts a failure. Its own row is the evidence: it has never served."""
        if self._rows.change(guest, generation, lambda row: row, why) is None:
            return
        try:
            self._world.hypervisor.stop(run, StopHow.STOP)
        except DriverError as error:
            log.warning("%s: %s; it is killed", run, error)
            self._world.hypervisor.stop(run, StopHow.KILL)
        self._rows.failed(guest, generation, why, self._world.settings.start_attempts)

    def _gone(self, action: act.Stop) -> None:
        def step(row: Guest) -> Guest:
            if row.wish is Wish.RUNNING:
                return self._rows.moved(row, GuestState.WANTED, "")
            return self._rows.moved(row, GuestState.STOPPED, "")

        self._rows.change(action.guest, action.generation, step)

    def _say(self, action: act.Stop, reason: str) -> None:
        def step(row: Guest) -> Guest:
            return self._rows.moved(row, row.state, reason) if row.wish is Wish.STOPPED else row

        self._rows.change(action.guest, action.generation, step)

    def _note_trouble(self, action: act.Stop, error: DriverError) -> None:
        if not action.own:
            return
        advice = "" if action.how is StopHow.KILL else f" (labvirt guest stop {action.guest} --how kill)"

        def step(row: Guest) -> Guest:
            return self._rows.moved(row, row.state, one_sentence(str(error)) + advice)

        self._rows.change(action.guest, action.generation, step)
