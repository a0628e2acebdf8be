# SPDX-License-Identifier: MIT
"""Opening what a state folder holds: settings, the map, the database, and the doors of a use case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labvirt.bootstrap.drivers import disks_of
from labvirt.usecases.ports import Ports

if TYPE_CHECKING:
    from labvirt.config import Settings, StatePaths
    from labvirt.contracts.database import Database


def settings_of(state: Path, **overrides: object) -> Settings:
    from labvirt.config import load

    return load(state, **overrides)


def paths_of(state: Path) -> StatePaths:
    from labvirt.config import StatePaths

    return StatePaths(state)


def open_database(state: Path, *, create: bool = False) -> Database:
    from labvirt.database.unit_of_work import SqliteDatabase

    return SqliteDatabase.open(paths_of(state).database, create=create)


@contextmanager
def ports(state: Path) -> Iterator[Ports]:
    """The doors of a site that is set up, for one command. Raises HostNotReady, DatabaseError, InvalidInput
    (labvirt.toml).
    """
    from labvirt.link.client import EngineClient
    from labvirt.system.clock import SystemClock

    settings, paths = settings_of(state), paths_of(state)
    database = open_database(state)
    try:
        yield Ports(
            database=database,
            engine=EngineClient(paths.engine_socket),
            clock=SystemClock(),
            disks=disks_of(settings, paths),
        )
    finally:
        database.close()
