# SPDX-License-Identifier: MIT
"""Opening what a state folder holds: settings, the map, the database, and the doors of a use case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labvirt import __version__
from labvirt.bootstrap.drivers import LocalMachine
from labvirt.bootstrap.storage import Storage, limits_of, storage_of
from labvirt.usecases.ports import Ports

if TYPE_CHECKING:
    from labvirt.config import Settings, StatePaths
    from labvirt.contracts.database import Database
    from labvirt.contracts.engine import EngineLink


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
    """The doors of a site that is set up, for one command; long works may be done with them in this process. Raises HostNotReady,
    DatabaseError, InvalidInput (labvirt.toml).
    """
    from labvirt.link.client import EngineClient

    settings, paths = settings_of(state), paths_of(state)
    database = open_database(state)
    try:
        yield ports_over(settings, paths, database, storage_of(settings, paths), EngineClient(paths.engine_socket))
    finally:
        database.close()


def ports_over(settings: Settings, paths: StatePaths, database: Database, storage: Storage, engine: EngineLink) -> Ports:
    """The doors of use cases, over what is open already."""
    from labvirt.archive.driver import TarArchives
    from labvirt.network.dhcp.forms import RenderedForms
    from labvirt.system.clock import SystemClock
    from labvirt.system.named_locks import NamedLocks

    return Ports(
        database=database,
        engine=engine,
        clock=SystemClock(),
        disks=storage.disks,
        store=storage.store,
        drafts=storage.drafts,
        kept=storage.kept,
        kiosk=storage.kiosk,
        offline=storage.offline,
        trials=storage.trials,
        locks=NamedLocks(paths.locks),
        uploads=storage.uploads,
        machine=LocalMachine(paths.runs),
        archives=TarArchives(paths.root),
        version=__version__,
        limits=limits_of(settings),
        forms=RenderedForms(),
    )
