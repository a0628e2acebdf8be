# SPDX-License-Identifier: MIT
"""Heartbeats of the same second share one transaction: a thousand kiosks must not cost a hundred commits each second.

The last second of them may be lost with the process: they are only what kiosks say of themselves, and the next comes.
"""

from __future__ import annotations

import logging
import threading

from labvirt.contracts.database import Database, Heartbeat
from labvirt.errors import DatabaseError, NotFound

log = logging.getLogger(__name__)

SECONDS = 1.0


class Beats:
    """Safe from any thread. The newest of each terminal counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._collecting = False
        self._waiting: dict[str, Heartbeat] = {}

    def put(self, database: Database, beat: Heartbeat) -> None:
        """The beat is kept now if it is the first for a second; else it will be when that second is over, and is lost
        (with a line in the log) if that fails. Raises DatabaseError and NotFound (no such terminal) for the first.
        """
        with self._lock:
            if self._collecting:
                self._waiting[beat.terminal] = beat
                return
            self._collecting = True
        try:
            _write(database, beat)
        finally:
            self._collect(database)

    def _collect(self, database: Database) -> None:
        timer = threading.Timer(SECONDS, self._end_of_second, (database,))
        timer.daemon = True
        timer.start()

    def _end_of_second(self, database: Database) -> None:
        with self._lock:
            beats, self._waiting = self._waiting, {}
            self._collecting = bool(beats)
        if not beats:
            return
        try:
            _write(database, *beats.values())
        except DatabaseError as error:
            log.warning("%d heartbeats were not kept: %s", len(beats), error)
        finally:
            self._collect(database)


def _write(database: Database, *beats: Heartbeat) -> None:
    with database.write() as work:
        for beat in beats:
            try:
                work.heartbeats.put(beat)
            except NotFound:
                if len(beats) == 1:
                    raise
                log.info("no heartbeat is kept of %s: it was removed a moment ago", beat.terminal)
        work.commit()
