# SPDX-License-Identifier: MIT
"""The only file that knows everybody: it joins settings, drivers, database, engine, web and command line.

What a command does not need is imported when it is needed: `labvirt --help` must not wait for drivers.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labvirt import __version__
from labvirt.cli.app import App, DemoWish, ServeOptions
from labvirt.domain.findings import Finding
from labvirt.errors import Conflict, DatabaseError, HostNotReady, InvalidInput
from labvirt.usecases.ports import Ports

if TYPE_CHECKING:
    from labvirt.config import Settings, StatePaths
    from labvirt.contracts.authority import Authority
    from labvirt.contracts.database import Database
    from labvirt.contracts.dhcp import DhcpServer, NameLookup
    from labvirt.contracts.disks import Disks
    from labvirt.contracts.hypervisor import Hypervisor
    from labvirt.contracts.network import Network
    from labvirt.domain.host import HostLoad
    from labvirt.engine.readiness import Probe
    from labvirt.system.locks import Lock
    from labvirt.system.supervisor import Program

log = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main() -> None:
    """The entry point of `labvirt`."""
    from labvirt.cli.main import Root

    Root(app()).main()


def app() -> App:
    """What the command line is handed."""
    return App(
        ports=ports,
        init=init,
        mac_prefix=lambda state: _settings(state).mac_prefix,
        serve=serve,
        engine=engine,
        web=web,
        demo=demo,
        doctor=doctor,
        build_tiny=build_tiny,
    )


def _settings(state: Path, **overrides: object) -> Settings:
    from labvirt.config import load

    return load(state, **overrides)


def _paths(state: Path) -> StatePaths:
    from labvirt.config import StatePaths

    return StatePaths(state)


def _database(state: Path, *, create: bool = False) -> Database:
    from labvirt.database.unit_of_work import SqliteDatabase

    return SqliteDatabase.open(_paths(state).database, create=create)


@contextmanager
def ports(state: Path) -> Iterator[Ports]:
    """The doors of a site that is set up, for one command. Raises HostNotReady, DatabaseError, InvalidInput
    (labvirt.toml).
    """
    from labvirt.link.client import EngineClient
    from labvirt.system.clock import SystemClock

    settings, paths = _settings(state), _paths(state)
    database = _database(state)
    try:
        yield Ports(
            database=database,
            engine=EngineClient(paths.engine_socket),
            clock=SystemClock(),
            disks=_disks(settings, paths),
        )
    finally:
        database.close()


def init(state: Path, again: bool, hypervisor: str | None) -> str:
    """The state folder, its folders (0700), secrets and database exist; gives the set-up code. A site that exists is
    left alone: Conflict.

    A folder that holds something else is refused before anything is written.
    """
    from labvirt.system import files
    from labvirt.usecases import setup

    paths = _paths(state)
    if not again or not paths.database.exists():
        _refuse_foreign(state, paths)
    if not paths.database.exists():
        if hypervisor is not None and paths.settings.exists():
            raise InvalidInput("hypervisor", f"there is {paths.settings} already", hint="Set hypervisor there.")
        try:
            for folder in (state, *paths.folders()):
                files.private_folder(folder)
            if hypervisor is not None:
                files.write_atomic(paths.settings, f'hypervisor = "{hypervisor}"\n')
        except OSError as error:
            raise HostNotReady(
                f"The state folder {state} cannot be made: {error.strerror}.", hint="Choose another one: --state DIR"
            ) from error
        _settings(state)
    _database(state, create=True).close()
    with ports(state) as doors:
        code = setup.init(doors, host=socket.gethostname(), again=again)
    _web_key(paths)
    return code


def _refuse_foreign(state: Path, paths: StatePaths) -> None:
    ours = {path.name for path in vars(paths).values()}
    try:
        found = sorted(each.name for each in state.iterdir() if each.name not in ours)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostNotReady(f"{state} is not a folder we can use: {error.strerror}.", hint="Choose another one: --state DIR") from error
    if found and not paths.database.exists():
        raise Conflict(f"{state} holds something else already ({found[0][:60]}).", hint="Choose an empty folder: --state DIR")


def _web_key(paths: StatePaths) -> bytes:
    """The key that signs the pages' cookies, made on first use."""
    from labvirt.system import files

    path = paths.secrets / "web.key"
    try:
        return files.read_bounded(path, 64)
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        files.write_atomic(path, key)
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """One set that fits together."""

    hypervisor: Hypervisor
    disks: Disks
    network: Network
    dhcp: DhcpServer
    names: NameLookup
    authority: Authority
    probe: Probe


class LocalMachine:
    """Keeps contracts.host.Machine."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs

    def load(self) -> HostLoad:
        from labvirt.domain.host import HostLoad
        from labvirt.system import machine

        read = machine.read_load(self._runs if self._runs.exists() else Path("/"))
        return HostLoad(
            memory_total_mib=read.memory_total_mib,
            memory_available_mib=read.memory_available_mib,
            cpus=read.cpus,
            disk_free_mib=read.disk_free_mib,
            cpu_pressure=read.cpu_pressure,
        )

    def boot_id(self) -> str:
        from labvirt.system import machine

        return machine.boot_id()


def _disks(settings: Settings, paths: StatePaths) -> Disks:
    if settings.hypervisor == "fake":
        from labvirt.disks.fake import FakeDisks

        return FakeDisks(paths.images, paths.runs, paths.fake / "disks.json")
    from labvirt.disks.driver import QcowDisks

    return QcowDisks(paths.images, paths.runs)


def _hypervisor(settings: Settings, paths: StatePaths, database: Database) -> Hypervisor:
    if settings.hypervisor == "fake":
        from labvirt.hypervisors.fake import FakeHypervisor

        return FakeHypervisor(paths.fake / "hypervisor.json")
    from labvirt.hypervisors.qemu.driver import QemuHypervisor

    direct = QemuHypervisor(
        runs=paths.runs, choice=settings.accelerator, probe_guest=_probe_guest(database, paths), probe_cache=_probe_cache()
    )
    if settings.hypervisor == "qemu":
        return direct
    from labvirt.hypervisors.libvirt.driver import LibvirtHypervisor
    from labvirt.usecases.setup import SITE_FACT

    accelerator = direct.capabilities().accelerator  # libvirt's own answer lies where KVM cannot run Linux
    direct.close()
    with database.read() as work:
        owner = work.facts.get(SITE_FACT) or "labvirt"
    return LibvirtHypervisor(settings.libvirt_uri, owner=owner, accelerator=accelerator)


def _probe_guest(database: Database, paths: StatePaths) -> Path | None:
    """The published tiny guest: it says on its serial line that Linux has reached userspace."""
    with database.read() as work:
        image = work.images.get("tiny")
        version = work.images.version("tiny", image.published) if image and image.published else None
    return paths.images / version.file if version else None


def _drivers(settings: Settings, paths: StatePaths, database: Database) -> Drivers:
    from labvirt.engine.readiness import tcp_probe
    from labvirt.network.authority import FileAuthority
    from labvirt.system.clock import SystemClock

    if settings.hypervisor == "fake":
        from labvirt.network.dhcp.fake import FakeDhcp, FakeLookup
        from labvirt.network.fake import FakeNetwork

        dhcp = FakeDhcp(paths.fake / "dhcp.json", SystemClock(), eager=True)
        return Drivers(
            hypervisor=_hypervisor(settings, paths, database),
            disks=_disks(settings, paths),
            network=FakeNetwork(paths.fake / "network.json"),
            dhcp=dhcp,
            names=FakeLookup(dhcp),
            authority=FileAuthority(paths.secrets),
            probe=frozenset,
        )
    from labvirt.network.dhcp.driver import Dnsmasq
    from labvirt.network.dns.lookup import DnsLookup
    from labvirt.network.driver import LinuxNetwork

    if settings.hypervisor == "libvirt":
        # Its guests open their files by the host's paths, as users of their own: they may walk through, and list nothing.
        for folder in (paths.root, paths.images, paths.runs):
            folder.chmod(0o711)
    return Drivers(
        hypervisor=_hypervisor(settings, paths, database),
        disks=_disks(settings, paths),
        network=LinuxNetwork(),
        dhcp=Dnsmasq(paths.networks),
        names=DnsLookup(),
        authority=FileAuthority(paths.secrets),
        probe=tcp_probe,
    )


def serve(state: Path, options: ServeOptions) -> int:
    """Engine and web run until SIGTERM. Raises HostNotReady (not set up, port in use), Conflict (served already)."""
    from labvirt.system import supervisor
    from labvirt.system.sockets import handed_sockets

    settings, paths = _settings(state, hypervisor=options.hypervisor, accelerator=options.accelerator), _paths(state)
    _database(state).close()  # a missing, newer or damaged one is said here, once
    try:
        handed = handed_sockets(os.environ, os.getpid())
    except (OSError, ValueError) as error:
        raise HostNotReady(
            "LISTEN_FDS names sockets that are not there.", hint="Unset LISTEN_FDS, or use a systemd socket unit."
        ) from error
    with _lock(paths.locks / "serve.lock", state):
        listen = options.listen or (() if handed else (f"0.0.0.0:{settings.controller_port}",))
        sockets = (*handed, *(supervisor.bind(each) for each in listen))
        _web_key(paths)
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


def engine(state: Path) -> int:
    """The engine runs until SIGTERM; guests live on. Raises HostNotReady, DatabaseError, Conflict (another engine
    works here).
    """
    from labvirt.engine.main import Engine
    from labvirt.engine.settings import EngineSettings
    from labvirt.engine.world import World
    from labvirt.link.server import EngineServer
    from labvirt.system.clock import SystemClock
    from labvirt.system.privileges import is_root

    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    settings, paths = _settings(state), _paths(state)
    stop = _until_told()
    with _lock(paths.locks / "engine.lock", state):
        database = _database(state)
        with database.read() as work:
            hosts = work.hosts.list()
        drivers = _drivers(settings, paths, database)
        world = World(
            database=database,
            hypervisor=drivers.hypervisor,
            disks=drivers.disks,
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
            settings=EngineSettings(
                host=hosts[0].name if len(hosts) == 1 else socket.gethostname(),
                starts_at_once=settings.starts_at_once,
                reconcile_seconds=settings.reconcile_seconds,
                start_timeout_seconds=settings.start_timeout_seconds,
                start_attempts=settings.start_attempts,
                ticket_seconds=settings.ticket_seconds,
                controller_port=settings.controller_port,
                guest_uid_base=settings.guest_uid_base if is_root() and settings.hypervisor != "fake" else None,
            ),
        )
        acting = Engine(world)
        server = EngineServer(acting, paths.engine_socket)
        server.open()
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

    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    paths = _paths(state)
    sockets = handed_sockets(os.environ, os.getpid())
    if not sockets:
        raise HostNotReady("The web process was started without sockets.", hint="Use: labvirt serve")
    authority = FileAuthority(paths.secrets)
    with ports(state) as doors:
        answer(ports=doors, sockets=sockets, ca_pem=authority.ca_pem, secret_key=_web_key(paths))
    return 0


def _until_told() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def demo(wish: DemoWish) -> int:
    """A lab on this machine, judged or shown; see labvirt/demo."""
    from labvirt.demo.main import run
    from labvirt.demo.options import DemoOptions

    return run(
        DemoOptions(
            terminals=wish.terminals,
            check=wish.check,
            json_path=wish.json_path,
            pictures=wish.pictures,
            hypervisor=wish.hypervisor,
            deadline_seconds=wish.deadline_seconds,
        )
    )


def doctor(state: Path) -> tuple[Finding, ...]:
    """Findings about this host and state folder; changes nothing."""
    from labvirt.doctor.checks import run

    settings, paths = _settings(state), _paths(state)

    def driver() -> Hypervisor:
        try:
            return _hypervisor(settings, paths, _database(state))
        except (HostNotReady, DatabaseError):
            from labvirt.hypervisors.qemu.driver import QemuHypervisor

            return QemuHypervisor(runs=paths.runs, choice=settings.accelerator, probe_cache=_probe_cache())

    return run(
        hypervisor=settings.hypervisor,
        state=state,
        machine=LocalMachine(paths.runs),
        driver=driver,
        database=lambda: _database(state),
        disks=lambda: _disks(settings, paths),
    )


def _probe_cache() -> Path:
    """Where the answer to 'does KVM really work here' is kept: it belongs to the machine, not to one state folder."""
    from labvirt.config import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "accelerator.json"


def build_tiny() -> Path:
    """The tiny guest's disk, built by its recipe or reused. Raises HostNotReady with the recipe's last words."""
    import json

    from labvirt.system.process import run

    package = Path(__file__).resolve().parent
    for folder in (package / "share" / "images", package.parent / "images"):
        recipe = folder / "tiny" / "build.py"
        if recipe.is_file():
            result = run([sys.executable, "-I", str(recipe), "--json"], timeout=1800)
            if not result.ok:
                raise HostNotReady(f"The tiny guest could not be built: {result.last_words}", hint="labvirt doctor")
            return Path(str(json.loads(result.stdout)["path"]))
    raise HostNotReady("This installation has no image recipes.", hint="Install LabVirt again.")
