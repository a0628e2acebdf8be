# SPDX-License-Identifier: MIT
"""The processes of a controller: the supervisor (`serve`), the engine, the web."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from labvirt import __version__
from labvirt.bootstrap.drivers import LocalMachine, drivers_of
from labvirt.bootstrap.errands import Open, doctor
from labvirt.bootstrap.opening import open_database, paths_of, ports, ports_over, settings_of
from labvirt.bootstrap.storage import guest_uid_base, make_folders, storage_of
from labvirt.cli.app import ServeOptions
from labvirt.errors import Conflict, HostNotReady

if TYPE_CHECKING:
    from labvirt.config import StatePaths
    from labvirt.system.locks import Lock
    from labvirt.system.supervisor import Program

log = logging.getLogger(__name__)

DATABASE_BYTES = 8 << 20
"""SQLite's log has 4 MiB before it is begun anew (PRAGMA wal_autocheckpoint), or more while somebody reads."""
DATABASE_KEEPS = {"-wal": DATABASE_BYTES, "-shm": 64 << 10}
"""Beside the database. The index of the log is mapped memory: on a file system with blocks of 1 KiB parts of its pages would be holes, and
a write to one kills the process (SIGBUS) when the disk is full."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(state: Path, options: ServeOptions) -> int:
    """Engine and web run until SIGTERM. Raises HostNotReady (not set up, port in use), Conflict (served already)."""
    from labvirt.system import supervisor
    from labvirt.system.sockets import handed_sockets

    settings, paths = settings_of(state, hypervisor=options.hypervisor, accelerator=options.accelerator), paths_of(state)
    open_database(state).close()  # a missing, newer or damaged one is said here, once
    try:
        handed = handed_sockets(os.environ, os.getpid())
    except (OSError, ValueError) as error:
        raise HostNotReady(
            "LISTEN_FDS names sockets that are not there.", hint="Unset LISTEN_FDS, or use a systemd socket unit."
        ) from error
    with _lock(paths.locks / "serve.lock", state):
        listen = options.listen or (() if handed else (f"0.0.0.0:{settings.controller_port}",))
        sockets = (*handed, *(supervisor.bind(each) for each in listen))
        logging.basicConfig(format="labvirt serve: %(message)s", level=logging.INFO)
        log.info("answering on %s, state in %s", ", ".join(map(_shown, sockets)), state)
        return supervisor.supervise(_programs(state, paths, options, sockets))


def _programs(state: Path, paths: StatePaths, options: ServeOptions, sockets: tuple[socket.socket, ...]) -> tuple[Program, ...]:
    from labvirt.system import privileges, supervisor

    env = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
    env["PYTHONUNBUFFERED"] = "1"
    for name, value in (("LABVIRT_HYPERVISOR", options.hypervisor), ("LABVIRT_ACCELERATOR", options.accelerator)):
        if value is not None:
            env[name] = value
    # -P: nothing is imported from the folder in which somebody happens to stand.
    command = (sys.executable, "-P", "-m", "labvirt", "--state", str(state))
    return (
        supervisor.Program(name="engine", argv=(*command, "engine"), env=env, log=paths.logs / "engine.log", grace_seconds=30.0),
        supervisor.Program(
            name="web",
            argv=(*privileges.without_rights(), *command, "web"),
            env={**env, "LISTEN_FDS": str(len(sockets))},
            log=paths.logs / "web.log",
            descriptors=tuple(each.fileno() for each in sockets),
        ),
    )


def _lock(path: Path, state: Path) -> Lock:
    from labvirt.system import locks

    found = locks.take(path)
    if found is None:
        raise Conflict(f"{state} is served already by another labvirt.", hint="Stop that one first, or choose another --state.")
    return found


def _shown(each: socket.socket) -> str:
    name = each.getsockname()
    return f"unix:{name}" if isinstance(name, str) else f"http://{name[0]}:{name[1]}/"


def keep_room(database: Path) -> None:
    """As long as the engine runs, the database can be written on a disk that guests have filled: what makes room needs rows itself. Its log
    (sqlite.org/wal.html: begun anew from its start, and not shortened) has the space."""
    from labvirt.system.reserve import keep_for

    database = database.resolve()
    try:
        kept = [keep_for(database.with_name(f"{database.name}{end}"), size, leaving=DATABASE_BYTES) for end, size in DATABASE_KEEPS.items()]
        if not all(kept):
            log.warning("no space is kept for the database: the disk of %s is full", database.parent)
    except OSError as error:
        log.warning("no space is kept for the database: %s", error)


def engine(state: Path) -> int:
    """The engine runs until SIGTERM; guests live on. Raises HostNotReady, DatabaseError, Conflict (another engine
    works here).
    """
    from labvirt.engine.main import Engine
    from labvirt.engine.settings import EngineSettings
    from labvirt.engine.world import World
    from labvirt.link.server import EngineServer
    from labvirt.system.clock import SystemClock

    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    settings, paths = settings_of(state), paths_of(state)
    stop = _until_told()
    with _lock(paths.locks / "engine.lock", state):
        database = open_database(state)
        with database.read() as work:
            hosts = work.hosts.list()
        keep_room(paths.database)
        make_folders(paths)
        drivers, storage = drivers_of(settings, paths, database), storage_of(settings, paths)
        world = World(
            database=database,
            hypervisor=drivers.hypervisor,
            disks=storage.disks,
            store=storage.store,
            drafts=storage.drafts,
            kept=storage.kept,
            kiosk=storage.kiosk,
            homes=storage.homes,
            network=drivers.network,
            dhcp=drivers.dhcp,
            names=drivers.names,
            authority=drivers.authority,
            machine=LocalMachine(paths.runs),
            clock=SystemClock(),
            probe=drivers.probe,
            version=__version__,
            own_uid=os.geteuid(),
            pid=os.getpid(),
            images=paths.images,
            runs=paths.runs,
            settings=EngineSettings(
                host=hosts[0].name if len(hosts) == 1 else socket.gethostname(),
                starts_at_once=settings.starts_at_once,
                reconcile_seconds=settings.reconcile_seconds,
                start_timeout_seconds=settings.start_timeout_seconds,
                start_attempts=settings.start_attempts,
                ticket_seconds=settings.ticket_seconds,
                controller_port=settings.controller_port,
                guest_uid_base=guest_uid_base(settings),
                # What is not real boots in no time, and takes no memory.
                settle_seconds=0.0 if settings.hypervisor == "fake" else EngineSettings().settle_seconds,
                young_seconds=0.0 if settings.hypervisor == "fake" else EngineSettings().young_seconds,
                jobs_at_once=settings.jobs_at_once,
                keep_overlays=settings.rescue_hours > 0,
            ),
        )
        opened = Open(driver=drivers.hypervisor, database=database, store=storage.store)
        acting = Engine(world, lambda link: ports_over(settings, paths, database, storage, link), partial(doctor, state, opened))
        server = EngineServer(acting, paths.engine_socket)
        server.open()
        gc.collect()
        gc.freeze()  # what was imported is never garbage: looking through it would keep everybody waiting, now and then
        try:
            acting.run(stop)
        finally:
            server.close()
            database.close()
    return 0


def web(state: Path) -> int:
    """The web process answers on the sockets it was handed until SIGTERM. Raises HostNotReady, DatabaseError."""
    from labvirt.network.authority import FileAuthority
    from labvirt.system.sockets import handed_sockets
    from labvirt.web.main import serve as answer
    from labvirt.web.ui.knock import Proxy

    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    paths = paths_of(state)
    sockets = handed_sockets(os.environ, os.getpid())
    if not sockets:
        raise HostNotReady("The web process was started without sockets.", hint="Use: labvirt serve")
    authority = FileAuthority(paths.secrets)
    settings = settings_of(state)
    proxy = Proxy.parse(settings.trusted_proxy, settings.remote_user_header, settings.campus_group)
    with ports(state) as doors:
        answer(ports=doors, sockets=sockets, ca_pem=authority.ca_pem, proxy=proxy)
    return 0


def _until_told() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
