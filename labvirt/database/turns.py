# SPDX-License-Identifier: MIT
"""Writers of this process take turns, fairly and without polling; those who wait for one another share a commit.

A commit is a wait for the disk (fsync). Who has committed while others wait leaves the transaction open, hands the
turn on and waits; the last of them commits for all, and only then is anybody told that it is kept. Each has a
savepoint of its own: who leaves without commit takes only its own changes back. Writers of other processes wait in
SQLite's busy handler.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, PoolProxiedConnection

from labvirt.database.trouble import BUSY_SECONDS, busy, explained, translated
from labvirt.errors import DatabaseError

TOGETHER_SECONDS = 0.1
"""After so long a transaction takes in no more writers: other processes want their turn too."""


@dataclass(slots=True, eq=False)
class Transaction:
    """One BEGIN IMMEDIATE ... COMMIT. `waited_for`: somebody has committed and waits for `ended`."""

    connection: PoolProxiedConnection
    raw: sqlite3.Connection
    until: float
    waited_for: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    kept: bool = False
    error: sqlite3.Error | None = None


class Turns:
    """The right to write, one at a time. Every `take` is followed by one `keep` or one `undo`, in the same thread."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._lock = threading.Lock()
        self._taken = False
        self._writer: int | None = None
        """The thread that has the turn."""
        self._queue: deque[threading.Event] = deque()
        self._open: Transaction | None = None
        """Belongs to who has the turn."""

    def take(self) -> Transaction:
        """A transaction that holds SQLite's writer's lock. Raises DatabaseError, when no turn comes in time too. A thread that
        writes already would wait for itself: that is a mistake of the program (TypeError).
        """
        me = threading.get_ident()
        if self._writer == me:
            raise TypeError("a unit of work that writes was opened inside another one of the same thread")
        self._await_turn()
        self._writer = me
        try:
            with translated(self._path):
                if self._open is None:
                    self._open = self._begin()
                self._open.raw.execute("SAVEPOINT mine")
        except BaseException:
            self._end()
            raise
        return self._open

    def keep(self, transaction: Transaction) -> None:
        """What was written in this turn is durable. Raises DatabaseError: then it was not kept, nor what anybody else
        wrote in this transaction.
        """
        try:
            with translated(self._path):
                transaction.raw.execute("RELEASE mine")
        except BaseException:
            self._end()
            raise
        transaction.waited_for = True
        if time.monotonic() > transaction.until or not self._hand_on(or_free=False):
            self._end()
        transaction.ended.wait()
        if transaction.error is not None:
            raise explained(self._path, transaction.error) from transaction.error
        if not transaction.kept:
            raise DatabaseError("Somebody who wrote at the same time met an error: the database took both back.", hint="Try again.")

    def undo(self, transaction: Transaction) -> None:
        """What was written in this turn is not."""
        try:
            with translated(self._path):
                if transaction.raw.in_transaction:  # SQLite takes everything back by itself when the disk is full
                    transaction.raw.execute("ROLLBACK TO mine")
                    transaction.raw.execute("RELEASE mine")
        finally:
            self._end()

    def _begin(self) -> Transaction:
        connection = self._engine.raw_connection()
        raw = connection.driver_connection
        assert raw is not None
        try:
            raw.execute("BEGIN IMMEDIATE")
        except BaseException:
            connection.close()
            raise
        return Transaction(connection=connection, raw=raw, until=time.monotonic() + TOGETHER_SECONDS)

    def _end(self) -> None:
        """Commit for those who wait, tell them, and give the turn to the first of the next transaction."""
        transaction, self._open = self._open, None
        try:
            if transaction is not None:
                self._commit(transaction)
        finally:
            self._hand_on(or_free=True)

    def _commit(self, transaction: Transaction) -> None:
        try:
            if transaction.waited_for and transaction.raw.in_transaction:
                transaction.raw.execute("COMMIT")
                transaction.kept = True
        except sqlite3.Error as error:
            transaction.error = error
        finally:
            with translated(self._path):
                transaction.connection.close()  # takes back what is not committed
            transaction.ended.set()

    def _await_turn(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._queue.append(mine)
        if mine.wait(BUSY_SECONDS):
            return
        with self._lock:
            if mine.is_set():
                return
            self._queue.remove(mine)
        raise busy(self._path)

    def _hand_on(self, *, or_free: bool) -> bool:
        """Give the turn to the next in the queue; False when nobody is there."""
        with self._lock:
            self._writer = None
            if self._queue:
                self._queue.popleft().set()
                return True
            if or_free:
                self._taken = False
            return False
