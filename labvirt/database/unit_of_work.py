# SPDX-License-Identifier: MIT
"""The database file: opened, checked and migrated once; then one transaction per unit of work.

WAL + synchronous=FULL: in power-cut experiments every weaker WAL setting lost acknowledged transactions; this one
lost none.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from labvirt.database import migrate
from labvirt.database.connections import connect
from labvirt.database.repositories.answers import AnswerRepository
from labvirt.database.repositories.audit import AuditRepository
from labvirt.database.repositories.boots import BootRepository
from labvirt.database.repositories.canaries import CanaryRepository
from labvirt.database.repositories.drafts import DraftRepository
from labvirt.database.repositories.guests import GuestRepository
from labvirt.database.repositories.hosts import HostRepository
from labvirt.database.repositories.images import ImageRepository
from labvirt.database.repositories.jobs import JobRepository
from labvirt.database.repositories.labs import LabRepository
from labvirt.database.repositories.messages import MessageRepository
from labvirt.database.repositories.people import GroupRepository, PersonRepository
from labvirt.database.repositories.pools import PoolRepository, SpareRepository
from labvirt.database.repositories.power import (
    DepartureRepository,
    HardwareRepository,
    OrderRepository,
    PowerPolicyRepository,
    PowerTimesRepository,
)
from labvirt.database.repositories.profiles import ProfileRepository
from labvirt.database.repositories.records import FactRepository, HeartbeatRepository
from labvirt.database.repositories.rooms import RoomRepository
from labvirt.database.repositories.settings import SettingRepository
from labvirt.database.repositories.sign_ins import SignInRepository, TokenRepository
from labvirt.database.repositories.strangers import StrangerRepository
from labvirt.database.repositories.terminals import ClassRepository, TerminalRepository
from labvirt.database.store import Store
from labvirt.database.trouble import translated
from labvirt.database.turns import Turns


class SqliteUnitOfWork:
    """One transaction. Leaving it without `commit` changes nothing; after `commit` nothing more can be done in it."""

    def __init__(self, store: Store, keep: Callable[[], None] | None) -> None:
        """`keep` None: it only reads."""
        self._store = store
        self._keep = keep
        self.labs = LabRepository(store)
        self.terminals = TerminalRepository(store)
        self.classes = ClassRepository(store)
        self.profiles = ProfileRepository(store)
        self.images = ImageRepository(store)
        self.drafts = DraftRepository(store)
        self.jobs = JobRepository(store)
        self.canaries = CanaryRepository(store)
        self.hosts = HostRepository(store)
        self.guests = GuestRepository(store)
        self.strangers = StrangerRepository(store)
        self.heartbeats = HeartbeatRepository(store)
        self.orders = OrderRepository(store)
        self.power_times = PowerTimesRepository(store)
        self.power_policies = PowerPolicyRepository(store)
        self.departures = DepartureRepository(store)
        self.hardware = HardwareRepository(store)
        self.boots = BootRepository(store)
        self.audit = AuditRepository(store)
        self.facts = FactRepository(store)
        self.answers = AnswerRepository(store)
        self.settings = SettingRepository(store)
        self.messages = MessageRepository(store)
        self.people = PersonRepository(store)
        self.groups = GroupRepository(store)
        self.sign_ins = SignInRepository(store)
        self.tokens = TokenRepository(store)
        self.rooms = RoomRepository(store)
        self.pools = PoolRepository(store)
        self.spares = SpareRepository(store)

    def commit(self) -> None:
        if self._keep is None:
            raise TypeError("this unit of work only reads")
        if self._store.closed:
            raise TypeError("this unit of work was committed before")
        self._store.close()
        self._keep()


class SqliteDatabase:
    """Keeps contracts.database.Database. Safe from any thread; each unit of work belongs to the thread that opened
    it.
    """

    def __init__(self, path: Path) -> None:
        """Use `open`."""
        self._path = path
        self._engine = connect(path)
        self._turns = Turns(self._engine, path)

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

    @contextmanager
    def write(self) -> Iterator[SqliteUnitOfWork]:
        transaction = self._turns.take()
        store = Store(self._engine, transaction.connection, self._path)
        try:
            yield SqliteUnitOfWork(store, lambda: self._turns.keep(transaction))
        finally:
            if not store.closed:
                store.close()
                self._turns.undo(transaction)

    @contextmanager
    def read(self) -> Iterator[SqliteUnitOfWork]:
        with translated(self._path):
            connection = self._engine.raw_connection()
        store = Store(self._engine, connection, self._path)
        try:
            store.begin()
            yield SqliteUnitOfWork(store, None)
        finally:
            store.close()
            with translated(self._path):
                connection.close()

    def copy(self, target: Path) -> None:
        """One step of SQLite's online backup: a reader's view of one moment, which keeps no writer from writing (WAL)."""
        with translated(self._path):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(target)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it

    def close(self) -> None:
        with translated(self._path):
            self._engine.dispose()
