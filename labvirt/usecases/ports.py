# SPDX-License-Identifier: MIT
"""The doors a use case goes through, as one frozen value that bootstrap fills."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from labvirt.contracts.clock import Clock
from labvirt.contracts.database import Database, HistoryEntry, UnitOfWork
from labvirt.contracts.disks import Disks
from labvirt.contracts.engine import EngineLink
from labvirt.errors import LabVirtError
from labvirt.usecases.pace import Pace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One per process. `tickets` counts display tickets in this process's memory: a restart forgets, which harms
    nobody.
    """

    database: Database
    engine: EngineLink
    clock: Clock
    disks: Disks
    tickets: Pace = field(default_factory=Pace)

    def note(self, work: UnitOfWork, subject: str, what: str) -> None:
        """One line of history in this unit of work."""
        work.history.add(HistoryEntry(at=self.clock.now(), subject=subject, what=what))

    def poke(self) -> None:
        """Tell the engine that wishes were written. An engine that is away finds them when it comes back."""
        try:
            self.engine.poke()
        except LabVirtError as error:
            log.info("the engine was not poked: %s", error)
