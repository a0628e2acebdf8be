# SPDX-License-Identifier: MIT
"""Connections to the SQLite file, each with the settings that durability rests on, proven by reading them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from labvirt.database.trouble import BUSY_SECONDS, lasting

SETTINGS: dict[str, int | str] = {
    "busy_timeout": int(BUSY_SECONDS * 1000),
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "foreign_keys": 1,
}
"""PRAGMA -> what it must answer (sqlite.org/pragma.html)."""

POOL = 16
"""Threads that ask at once without waiting for a connection."""


def connect(path: Path, *, migrating: bool = False) -> Engine:
    """An engine whose every transaction begins as we say: BEGIN IMMEDIATE with the option labvirt_write, else BEGIN.

    `migrating`: no pool, and foreign keys are off (tables are remade; the migration checks all of them before it
    commits).
    """
    pool: dict[str, Any] = {"poolclass": NullPool} if migrating else {"poolclass": QueuePool, "pool_size": POOL}
    if not migrating:
        pool |= {"max_overflow": POOL, "pool_timeout": BUSY_SECONDS}
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS}, **pool)
    settings = {**SETTINGS, "foreign_keys": 0} if migrating else SETTINGS

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # sqlite3 begins nothing by itself
        for name, wanted in settings.items():
            raw.execute(f"PRAGMA {name} = {wanted}")
            found = raw.execute(f"PRAGMA {name}").fetchone()[0]
            if found != wanted:
                raise lasting(
                    f"SQLite does not take {name} = {wanted} here (it says {found}).",
                    hint=f"Keep the state folder on a local file system with working locks, not at {path.parent}.",
                )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
            return  # begun without SQLAlchemy: store.py, turns.py
        write = connection.get_execution_options().get("labvirt_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
