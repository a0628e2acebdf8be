# SPDX-License-Identifier: MIT
"""Works that nobody asks for, by the clock: garbage collection (which asks for scrubbing and flattening when they are due), looking after
admin sessions, the times at which labs are switched on and off, orders and goodbyes of terminals, templates of instant clones. Long ones
become jobs; nothing long is done here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from labvirt.domain.findings import Finding
from labvirt.errors import LabVirtError
from labvirt.usecases import garbage, leaving, orders, power_times, sessions, templates
from labvirt.usecases.ports import Ports

log = logging.getLogger(__name__)

GARBAGE_EVERY = timedelta(hours=1)
POKED_SECONDS = 3.0
"""A changed profile or version is looked at so soon; not at once, for who changes one thing often changes another."""
BY = "labvirt"
"""Who asks for what nobody asks for."""
_COLLECTED = "garbage-asked-at"


class Chores:
    """One thread. A chore that fails is tried again the next time."""

    def __init__(self, ports: Ports, every_seconds: float) -> None:
        self._ports = ports
        self._every = every_seconds
        self._over = threading.Event()
        self._poked = threading.Event()
        self._thread: threading.Thread | None = None
        self._reminders: tuple[Finding, ...] = ()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="chores", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def findings(self) -> tuple[Finding, ...]:
        """Admin sessions in which nothing has happened for long."""
        return self._reminders

    def do(self) -> None:
        """Everything that is due now; one chore that fails does not keep the others from their turn."""
        for chore in (self._keep_times, self._end_orders, self._stop_left, self._mend, self._remind, self._templates, self._collect):
            self._try(chore)

    def poke(self) -> None:
        """Something was changed: a template may be missing now. From any thread."""
        self._poked.set()

    def _try(self, chore: Callable[[], None]) -> None:
        try:
            chore()
        except LabVirtError as error:
            log.warning("a chore could not be done: %s", error)
        except Exception:  # a mistake in one chore must not end all of them
            log.exception("a chore met a mistake of the program")

    def _keep_times(self) -> None:
        power_times.keep(self._ports)

    def _end_orders(self) -> None:
        orders.expire(self._ports)

    def _stop_left(self) -> None:
        leaving.stop_due(self._ports)

    def _mend(self) -> None:
        sessions.mend(self._ports)

    def _remind(self) -> None:
        self._reminders = sessions.remind(self._ports, self._ports.clock.now())

    def _templates(self) -> None:
        templates.keep(self._ports)

    def _collect(self) -> None:
        if self._garbage_is_due(self._ports.clock.now()):
            garbage.collect(self._ports, by=BY)

    def _garbage_is_due(self, now: datetime) -> bool:
        """Says so once an hour; a clock that was put back does not make it wait."""
        with self._ports.database.read() as work:
            told = work.facts.get(_COLLECTED)
        last = datetime.fromisoformat(told) if told else None
        if last is not None and last <= now < last + GARBAGE_EVERY:
            return False
        with self._ports.database.write() as work:
            work.facts.put(_COLLECTED, now.isoformat())
            work.commit()
        return True

    def _run(self) -> None:
        while not self._over.is_set():
            self._poked.clear()
            self.do()
            left = self._every
            while left > 0 and not self._over.wait(min(left, POKED_SECONDS)):
                left -= POKED_SECONDS
                if left > 0 and self._poked.is_set():
                    self._poked.clear()
                    self._try(self._templates)
