# SPDX-License-Identifier: MIT
"""`labvirt` with its real database, use cases, disks and checks; the engine is a double that only does jobs."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from labvirt import bootstrap
from labvirt.cli.app import App, DemoWish, ServeOptions
from labvirt.cli.main import Root
from labvirt.contracts.disks import RunDisk
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice
from labvirt.domain.kept import Kept
from labvirt.system import process
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngineLink

DISK = bytes(1 << 16) + b"labvirt!" * (1 << 13)


@dataclass
class Line:
    """The command line of one state folder."""

    state: Path
    engine: FakeEngineLink
    clock: FakeClock
    served: list[object]
    found: tuple[Finding, ...] = ()
    does_jobs: bool = True
    """The engine's double does them; else they wait (or, while it is `away`, the command does them itself)."""

    def run(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(Root(self.app()), ["--state", str(self.state), *words], input=input)

    def json(self, *words: str, code: int = 0) -> Any:
        """What it printed; it is one JSON document whatever the exit code."""
        result = self.run("--json", *words)
        assert result.exit_code == code, (words, result.stdout, result.stderr)
        return json.loads(result.stdout)

    def history(self) -> int:
        """How many lines of history there are: every write adds one."""
        return len(self.json("audit", "list", "--count", "10000"))

    @contextmanager
    def ports(self) -> Iterator[Ports]:
        with bootstrap.ports(self.state) as real:
            yield replace(real, engine=self.engine, clock=self.clock)

    def app(self) -> App:
        @contextmanager
        def ports(state: Path) -> Iterator[Ports]:
            assert state == self.state
            with self.ports() as opened, self._working(opened):
                yield opened

        def serve(state: Path, options: ServeOptions) -> int:
            self.served.append(options)
            return 0

        def demo(wish: DemoWish) -> int:
            self.served.append(wish)
            return 1

        def tiny() -> Path:
            built = self.state.parent / "tiny.raw"
            built.write_bytes(DISK)
            return as_qcow2(built)

        return App(
            ports=ports,
            init=bootstrap.init,
            mac_prefix=lambda state: 0x024C56,
            serve=serve,
            engine=lambda state: 0,
            web=lambda state: 0,
            demo=demo,
            doctor=lambda state: self.found,
            build_tiny=tiny,
            build_kiosk=bootstrap.build_kiosk,
            kiosk=bootstrap.current_kiosk,
            make_stick=bootstrap.make_stick,
            restore=bootstrap.restore,
        )

    @contextmanager
    def _working(self, ports: Ports) -> Iterator[None]:
        """The engine does jobs while the command runs."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(0.01):
                for number in jobs.unfinished(ports) if self.does_jobs and not self.engine.away else ():
                    jobs.run(ports, number, stopping=over.is_set)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def as_qcow2(raw: Path) -> Path:
    made = raw.with_suffix(".qcow2")
    process.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made)], timeout=60)
    return made


def new_line(state: Path) -> Line:
    return Line(state=state, engine=FakeEngineLink(), clock=FakeClock(), served=[])


@pytest.fixture
def bare(tmp_path: Path) -> Line:
    """Nothing was set up."""
    return new_line(tmp_path / "state")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with one lab, image, profile and terminal: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "disk.raw"
    source.write_bytes(DISK)
    made = new_line(folder / "state")
    made.json("init")
    made.json("lab", "add", "lab-a", "--network", "10.77.0.0/24", "--max-instances", "8")
    made.json("image", "import", "tiny", str(source), "--format", "raw")
    made.json("profile", "add", "desk", "--memory", "64", "--disk", "tiny:virtio")
    made.json("terminal", "add", "pc-01", "--lab", "lab-a", "--mac", "52:54:00:00:00:01")
    return made.state


@pytest.fixture
def line(bare: Line, site: Path) -> Line:
    """Set up, with one lab, image, profile and terminal."""
    shutil.copytree(site, bare.state, symlinks=True)
    return bare


def keep_something(line: Line) -> None:
    """What the run lab-a-01.g3 had written is kept."""
    run = RunId("lab-a-01", 3)
    with line.ports() as ports:
        with ports.database.read() as work:
            version = work.images.version("tiny", 1)
        assert version is not None
        ports.disks.create_run(run, (RunDisk(place=0, chain=(version,)),), uid=None)
        folder = ports.disks.open_run(run)
        assert folder is not None
        process.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", str(folder.overlays[0])], timeout=60)
        disks = (DiskChoice(place=0, image="tiny", version=1),)
        about = Kept(run=run, profile="desk", disks=disks, ended_at=ports.clock.now(), why="it crashed", terminal="pc-01")
        assert ports.kept.keep(run, about) is not None


def finding(severity: Severity) -> Finding:
    return Finding(code="stray", severity=severity, sentence="A stray TAP lvt000fff.", fix="ip link del lvt000fff", subject="lvt000fff")
