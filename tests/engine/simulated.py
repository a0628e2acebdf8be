# SPDX-License-Identifier: MIT
"""A lab without machines for tests of the engine: real database, real disk files, the product's fakes for networks, and a hypervisor that
can be made to misbehave. Its memory is a file, so that guests outlive the process that started them.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

from labvirt.checks.driver import GuestTrials
from labvirt.contracts.engine import EngineLink
from labvirt.contracts.hypervisor import (
    OVERLAY_CAP_REASON,
    Capability,
    EventKind,
    HypervisorInfo,
    LaunchSpec,
    Listener,
    MachineState,
    RunEvent,
    RunStatus,
)
from labvirt.contracts.templates import Templates
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.disks.boot_folder import SiteKiosk
from labvirt.disks.drafts import DraftFiles
from labvirt.disks.driver import QcowDisks
from labvirt.disks.home_logins import LoginFiles
from labvirt.disks.kept import KeptFiles
from labvirt.disks.offline import JailedFiles
from labvirt.disks.places import Places
from labvirt.disks.store import VersionStore
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.host import Host, HostLoad
from labvirt.domain.image import Image, Stage, Version
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import BUILT_IN
from labvirt.engine.main import Engine
from labvirt.engine.settings import EngineSettings
from labvirt.engine.world import World
from labvirt.errors import DriverTimeout, HypervisorError, Unsupported
from labvirt.network.dhcp.fake import FakeDhcp, FakeLookup
from labvirt.network.fake import FakeNetwork
from labvirt.system.clock import SystemClock
from labvirt.system.files import write_atomic
from labvirt.system.named_locks import NamedLocks
from labvirt.usecases.ports import Limits, Ports


class SimHypervisor:
    """Keeps contracts.hypervisor.Hypervisor."""

    def __init__(self, file: Path, *, start_seconds: float = 0.0) -> None:
        self._file = file
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self.start_seconds = start_seconds
        self.refuse: dict[str, Exception] = {}
        self.silent: set[str] = set()
        self.deaf: set[str] = set()
        """Guests that ignore their power button."""
        self.blocked: dict[str, threading.Event] = {}
        self.order: list[str] = []
        self.parallel = 0
        self.peak = 0
        self.stopped: list[tuple[RunId, StopHow]] = []
        self.granted: list[tuple[RunId, str, int]] = []
        self.logins: list[tuple[RunId, str, str]] = []
        self.agents: dict[str, Exception] = {}
        self.held: dict[str, threading.Event] = {}
        self.files: dict[str, bytes] = {}
        self.consoles: dict[tuple[RunId, ConsoleKind], socket.socket] = {}
        self.refuse_console: Exception | None = None
        self.specs: dict[RunId, LaunchSpec] = {}
        self.unknown = False
        self.able = frozenset(Capability) - {Capability.INSTANT_CLONE}

    def capabilities(self) -> HypervisorInfo:
        return HypervisorInfo(driver="simulated", version="1", accelerator="fake", capabilities=self.able, notice="")

    def command_line(self, spec: LaunchSpec) -> tuple[str, ...]:
        return ("simulated", str(spec.run), *(str(layer.path) for drive in spec.drives for layer in drive.chain))

    def start(self, spec: LaunchSpec) -> RunStatus:
        name = spec.run.guest
        with self._lock:
            self.parallel += 1
            self.peak = max(self.peak, self.parallel)
            self.order.append(name)
        try:
            if name in self.blocked:
                self.blocked[name].wait(20)
            if self.start_seconds:
                threading.Event().wait(self.start_seconds)
            if name in self.refuse:
                raise self.refuse[name]
            assert all(layer.path.exists() for drive in spec.drives for layer in drive.chain)
            with self._lock:
                memory = self._load()
                twins = [run for run in memory if RunId.parse(run).guest == name]
                if twins:
                    self._save({**memory, "!duplicate": {"run": str(spec.run), "beside": twins}})
                    raise HypervisorError(f"{twins} live already")
                memory[str(spec.run)] = {"uuid": str(spec.uuid), "viewers": 0, "state": "running", "reason": ""}
                self._save(memory)
            self.specs[spec.run] = spec
            (spec.folder / "launch.json").write_text(json.dumps({"argv": list(self.command_line(spec))}))
        finally:
            with self._lock:
                self.parallel -= 1
        return next(status for status in self.running() if status.run == spec.run)

    def running(self) -> tuple[RunStatus, ...]:
        if self.unknown:
            raise DriverTimeout("Nothing can be said.")
        return tuple(
            RunStatus(
                run=RunId.parse(run),
                uuid=None if RunId.parse(run).guest in self.silent else uuid.UUID(one["uuid"]),
                state=MachineState.SILENT if RunId.parse(run).guest in self.silent else MachineState(one["state"]),
                reason=one["reason"],
                viewers=one["viewers"],
                started_at=datetime.now(UTC),
            )
            for run, one in sorted(self._load().items())
            if not run.startswith("!")
        )

    def stop(self, run: RunId, how: StopHow) -> None:
        with self._lock:
            alive = str(run) in self._load()
            if alive:
                self.stopped.append((run, how))
        if not alive:
            return
        if run.guest in self.silent and how is not StopHow.KILL:
            raise DriverTimeout(f"{run} does not answer.", operation="stop", subject=str(run))
        if how is StopHow.SHUTDOWN:
            if run.guest not in self.deaf:
                self.end(run, inside=True)
            return
        self.end(run)

    def reset(self, run: RunId) -> None:
        self._tell(RunEvent(run=run, kind=EventKind.RESET))

    def pause(self, run: RunId) -> None:
        self.change(run, state="paused", reason="it was paused")

    def resume(self, run: RunId) -> None:
        self.change(run, state="running", reason="")

    def grant_display(self, run: RunId, secret: str, seconds: int) -> None:
        self.granted.append((run, secret, seconds))

    def set_login(self, run: RunId, user: str, password: str) -> None:
        """Keeps what was set; `agents` says what happens instead."""
        self.logins.append((run, user, password))
        if (held := self.held.get(run.guest)) is not None:
            held.wait(20)
        if (error := self.agents.get(run.guest)) is not None:
            raise error

    def read_guest_file(self, run: RunId, path: str, most: int) -> bytes | None:
        return self.files.get(path)

    def screenshot(self, run: RunId) -> bytes:
        return b"\x89PNG" + bytes(700_000)

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        if self.refuse_console is not None:
            raise self.refuse_console
        self.consoles[run, kind], given = socket.socketpair()
        return given.detach()

    def templates(self) -> Templates:
        raise Unsupported("instant clones", "simulated")

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def close(self) -> None:
        self._listeners.clear()

    # --- what tests do to guests

    def lives(self) -> set[str]:
        return {str(status.run) for status in self.running()}

    def duplicates(self) -> bool:
        return "!duplicate" in self._load()

    def end(self, run: RunId, *, inside: bool = False) -> None:
        """The process is gone."""
        with self._lock:
            memory = self._load()
            if memory.pop(str(run), None) is None:
                return
            if inside:
                self._tell(RunEvent(run=run, kind=EventKind.GUEST_SHUTDOWN))
            self._save(memory)
        self._tell(RunEvent(run=run, kind=EventKind.ENDED))

    def change(self, run: RunId, **what: object) -> None:
        with self._lock:
            memory = self._load()
            memory[str(run)].update(what)
            self._save(memory)

    def plant(self, run: RunId) -> None:
        """A run that nobody of us started."""
        with self._lock:
            self._save({**self._load(), str(run): {"uuid": str(uuid.uuid4()), "viewers": 0, "state": "running", "reason": ""}})

    def write(self, run: RunId, size: int, *, place: int = 0, capped: bool = False) -> None:
        """The guest writes to its overlay; `capped`: a driver that looks at the cap has paused it for that."""
        overlay = self.specs[run].folder / f"overlay-{place}.qcow2"
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 4k", str(overlay)], check=True, capture_output=True, timeout=60)
        with overlay.open("ab") as file:
            file.write(b"x" * size)
        if capped:
            self.change(run, state="paused", reason=OVERLAY_CAP_REASON)

    def viewer(self, run: RunId, *, there: bool, peer: str = "10.77.0.65") -> None:
        self.change(run, viewers=int(there))
        kind = EventKind.VIEWER_CONNECTED if there else EventKind.VIEWER_LEFT
        self._tell(RunEvent(run=run, kind=kind, peer=peer))

    def _tell(self, event: RunEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def _load(self) -> dict[str, dict[str, object]]:  # type: ignore[type-arg]
        try:
            return json.loads(self._file.read_bytes())  # type: ignore[no-any-return]
        except FileNotFoundError:
            return {}

    def _save(self, memory: dict[str, dict[str, object]]) -> None:
        write_atomic(self._file, json.dumps(memory))


class SimDisks(QcowDisks):
    """Real files; the free space can be set."""

    free: int | None = None

    def free_mib(self) -> int:
        return super().free_mib() if self.free is None else self.free


class SimMachine:
    """Keeps contracts.host.Machine; memory can be set."""

    def __init__(self, available_mib: int = 1 << 20) -> None:
        self.available_mib = available_mib
        self.boot = "11111111-2222-3333-4444-555555555555"

    def load(self) -> HostLoad:
        return HostLoad(memory_total_mib=1 << 20, memory_available_mib=self.available_mib, cpus=2, disk_free_mib=1 << 20)

    def demand_seconds(self, pid: int) -> float | None:
        return None

    def boot_id(self) -> str:
        return self.boot


class SimAuthority:
    """Keeps contracts.authority.Authority."""

    def ca_pem(self) -> str:
        return "simulated"

    def issue(self, folder: Path, *, name: str, address: object, uid: int | None) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "server-cert.pem").write_text(name)


def lab(name: str = "lab-a", block: int = 0, seats: int = 40, **more: object) -> Lab:
    return Lab(
        name=name,
        block=block,
        network=AddressPlan(IPv4Network(f"10.77.{block}.0/24")),
        max_instances=seats,
        **more,  # type: ignore[arg-type]
    )


def profile(**more: object) -> Profile:
    disk = Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny")
    return replace(Profile(name="tiny", memory_mib=64, slots=(disk,)), **more)  # type: ignore[arg-type]


class SimLab:
    """The doors of one state folder. `engine()` makes an engine on them."""

    def __init__(self, root: Path, *, settings: EngineSettings | None = None, start_seconds: float = 0.0) -> None:
        self.root = root
        for folder in ("images", "runs", "drafts", "kept", "checks", "canaries", "locks", "fake"):
            (root / folder).mkdir(exist_ok=True)
        self.clock = SystemClock()
        self.database = SqliteDatabase.open(root / "labvirt.db", create=True)
        self.hypervisor = SimHypervisor(root / "fake" / "hypervisor.json", start_seconds=start_seconds)
        places = Places(images=root / "images", drafts=root / "drafts", runs=root / "runs", kept=root / "kept")
        self.store = VersionStore(places.images, drafts=places.drafts, runs=places.runs, kept=places.kept)
        self.disks = SimDisks(places.images, places.runs, places.drafts, places.kept, self.store)
        self.drafts = DraftFiles(places, self.store)
        self.kept = KeptFiles(places)
        self.kiosk = SiteKiosk(self.root / "kiosk")
        self.network = FakeNetwork(root / "fake" / "network.json")
        self.dhcp = FakeDhcp(root / "fake" / "dhcp.json", self.clock)
        self.machine = SimMachine()
        self.settings = settings or EngineSettings(
            starts_at_once=4,
            reconcile_seconds=0.3,
            drain_seconds=5,
            revoke_seconds=0.1,
            keep_overlays=True,
            chore_seconds=0.3,
            settle_seconds=0,
        )
        self.limits = Limits()
        self.examined = Finding(code="memory", severity=Severity.OK, sentence="Much memory is free.")
        self.probe: Callable[..., frozenset[object]] = lambda places: frozenset(places)

    def world(self) -> World:
        return World(
            database=self.database,
            hypervisor=self.hypervisor,
            disks=self.disks,
            store=self.store,
            drafts=self.drafts,
            kept=self.kept,
            kiosk=self.kiosk,
            homes=LoginFiles(self.root / "homes"),
            network=self.network,
            dhcp=self.dhcp,
            names=FakeLookup(self.dhcp),
            authority=SimAuthority(),
            machine=self.machine,
            clock=self.clock,
            settings=self.settings,
            probe=self.probe,  # type: ignore[arg-type]
            images=self.root / "images",
            runs=self.root / "runs",
        )

    def ports(self, engine: EngineLink) -> Ports:
        """The doors of a use case, with this engine behind them."""
        return Ports(
            database=self.database,
            engine=engine,
            clock=self.clock,
            disks=self.disks,
            store=self.store,
            drafts=self.drafts,
            kept=self.kept,
            kiosk=self.kiosk,
            offline=JailedFiles(),
            trials=GuestTrials(self.root / "checks", self.root / "canaries"),
            locks=NamedLocks(self.root / "locks"),
            limits=self.limits,
        )

    def engine(self, *, jobs: bool = False) -> RunningEngine:
        """With `jobs` it does long works and chores too."""
        return RunningEngine(Engine(self.world(), self.ports if jobs else None, lambda: (self.examined,)))

    def furnish(self, *labs: Lab, kind: Profile | None = None, terminals: int = 0) -> None:
        """Labs, one image, one profile, and terminals at the first seats."""
        source = self.root / "source.raw"
        source.write_bytes(bytes(1 << 20))
        stored = self.store.import_version(source, format="raw", image="tiny", number=1)
        with self.database.write() as work:
            for one in BUILT_IN:
                if work.classes.get(one.name) is None:
                    work.classes.add(one)
            work.hosts.add(Host(name="local"))
            work.images.add(Image(name="tiny"))
            work.images.add_version(
                Version(
                    image="tiny",
                    number=1,
                    file=stored.file,
                    format=stored.format,
                    size_bytes=stored.size_bytes,
                    virtual_bytes=stored.virtual_bytes,
                    sha256=stored.sha256,
                    stage=Stage.PUBLISHED,
                    made_at=self.clock.now(),
                )
            )
            work.images.publish("tiny", 1, expected=None)
            work.profiles.add(kind or profile())
            for one_lab in labs:
                work.labs.add(one_lab)
                for seat in range(1, terminals + 1):
                    work.terminals.add(
                        Terminal(
                            name=f"{one_lab.name}-pc{seat}",
                            lab=one_lab.name,
                            seat=seat,
                            mac=MacAddress(0x020000000000 + one_lab.block * 256 + seat),
                        )
                    )
            work.commit()

    def close(self) -> None:
        self.database.close()


class RunningEngine:
    """An engine on a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._stop = threading.Event()
        self._thread = threading.Thread(target=engine.run, args=(self._stop,))

    def __enter__(self) -> Engine:
        self._thread.start()
        return self.engine

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "the engine did not stop"


def until(truth: Callable[[], object], seconds: float = 20.0, says: Callable[[], object] = lambda: "") -> None:
    """Wait for a condition; fails with what `says` says."""
    done = threading.Event()
    for _ in range(int(3 * seconds / 0.02)):  # machines that run tests are shared
        if truth():
            return
        done.wait(0.02)
    raise AssertionError(f"not within {3 * seconds} s: {says()}")
