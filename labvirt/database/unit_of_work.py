# SPDX-License-Identifier: MIT
"""The database file: opened, checked and migrated once; then one transaction per unit of work.

WAL + synchronous=FULL: in power-cut experiments every weaker WAL setting lost acknowledged transactions; this one
lost none.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Connection

from labvirt.database import migrate
from labvirt.database.connections import connect
from labvirt.database.repositories.guests import GuestRepository
from labvirt.database.repositories.hosts import HostRepository
from labvirt.database.repositories.images import ImageRepository
from labvirt.database.repositories.labs import LabRepository
from labvirt.database.repositories.profiles import ProfileRepository
from labvirt.database.repositories.records import FactRepository, HeartbeatRepository, HistoryRepository
from labvirt.database.repositories.strangers import StrangerRepository
from labvirt.database.repositories.terminals import ClassRepository, TerminalRepository
from labvirt.database.store import Store
from labvirt.database.trouble import BUSY_SECONDS, busy, translated


class SqliteUnitOfWork:
    """One transaction. Leaving it without `commit` changes nothing."""

    def __init__(self, connection: Connection, path: Path, *, writable: bool) -> None:
        self._connection = connection
        self._path = path
        self._writable = writable
        store = Store(connection, path)
        self.labs = LabRepository(store)
        self.terminals = TerminalRepository(store)
        self.classes = ClassRepository(store)
        self.profiles = ProfileRepository(store)
        self.images = ImageRepository(store)
        self.hosts = HostRepository(store)
        self.guests = GuestRepository(store)
        self.strangers = StrangerRepository(store)
        self.heartbeats = HeartbeatRepository(store)
        self.history = HistoryRepository(store)
        self.facts = FactRepository(store)

    def commit(self) -> None:
        if not self._writable:
            raise TypeError("this unit of work only reads")
        with translated(self._path):
            self._connection.commit()


class SqliteDatabase:
    """Keeps contracts.database.Database. Safe from any thread; each unit of work belongs to the thread that opened
    it.
    """

    def __init__(self, path: Path) -> None:
        """Use `open`."""
        self._path = path
        self._engine = connect(path)
        self._writer = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> SqliteDatabase:
        """The database at `path`, of the newest version: an older one is migrated (a copy of it is kept beside it),
        a missing one is made if `create` says so. Raises HostNotReady (missing), DatabaseError (newer, foreign,
        damaged: then it was not touched).
        """
        migrate.ensure(path, create=create)
        database = cls(path)
        with database.read() as work:
            work.facts.get("")  # the first connection proves its settings
        return database

    def write(self) -> AbstractContextManager[SqliteUnitOfWork]:
        return self._unit(writable=True)

    def read(self) -> AbstractContextManager[SqliteUnitOfWork]:
        return self._unit(writable=False)

    def close(self) -> None:
        with translated(self._path):
            self._engine.dispose()

    @contextmanager
    def _unit(self, *, writable: bool) -> Iterator[SqliteUnitOfWork]:
        # Writers of this process queue here, fairly and without polling; those of other processes wait in SQLite's busy handler.
        if writable and not self._writer.acquire(timeout=BUSY_SECONDS):
            raise busy(self._path)
        try:
            with translated(self._path):
                connection = self._engine.connect().execution_options(labvirt_write=writable)
            try:
                with translated(self._path):
                    connection.begin()
                yield SqliteUnitOfWork(connection, self._path, writable=writable)
            finally:
                with translated(self._path):
                    connection.close()
        finally:
            if writable:
                self._writer.release()
