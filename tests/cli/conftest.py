# SPDX-License-Identifier: MIT
"""`labvirt` with its real database and use cases; the engine and the disks are doubles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from labvirt import bootstrap
from labvirt.cli.app import App, DemoWish, ServeOptions
from labvirt.cli.main import Root
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.domain.findings import Finding, Severity
from labvirt.usecases.ports import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.disks import MemoryDisks
from tests.fakes.engine import FakeEngineLink


@dataclass
class Line:
    """The command line of one state folder."""

    state: Path
    engine: FakeEngineLink
    disks: MemoryDisks
    clock: FakeClock
    served: list[object]
    found: tuple[Finding, ...] = ()

    def run(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(Root(self.app()), ["--state", str(self.state), *words], input=input)

    def json(self, *words: str, code: int = 0) -> Any:
        """What it printed; it is one JSON document whatever the exit code."""
        result = self.run("--json", *words)
        assert result.exit_code == code, (words, result.stdout, result.stderr)
        return json.loads(result.stdout)

    def history(self) -> int:
        """How many lines of history there are: every write adds one."""
        return len(self.json("history", "--count", "10000"))

    def app(self) -> App:
        @contextmanager
        def ports(state: Path) -> Iterator[Ports]:
            assert state == self.state
            database = SqliteDatabase.open(state / "labvirt.db")
            try:
                yield Ports(database=database, engine=self.engine, clock=self.clock, disks=self.disks)
            finally:
                database.close()

        def serve(state: Path, options: ServeOptions) -> int:
            self.served.append(options)
            return 0

        def demo(wish: DemoWish) -> int:
            self.served.append(wish)
            return 1

        def tiny() -> Path:
            built = self.state.parent / "tiny.qcow2"
            built.write_bytes(b"tiny")
            return built

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
        )


@pytest.fixture
def bare(tmp_path: Path) -> Line:
    """Nothing was set up."""
    return Line(state=tmp_path / "state", engine=FakeEngineLink(), disks=MemoryDisks(), clock=FakeClock(), served=[])


@pytest.fixture
def line(bare: Line) -> Line:
    """Set up, with one lab, image, profile and terminal."""
    source = bare.state.parent / "disk.qcow2"
    source.write_bytes(b"disk")
    bare.json("init")
    bare.json("lab", "add", "lab-a", "--network", "10.77.0.0/24", "--max-instances", "8")
    bare.json("image", "add", "tiny", "--file", str(source), "--format", "qcow2")
    bare.json("profile", "add", "desk", "--memory", "64", "--disk", "tiny:virtio")
    bare.json("terminal", "add", "pc-01", "--lab", "lab-a", "--mac", "52:54:00:00:00:01")
    return bare


def finding(severity: Severity) -> Finding:
    return Finding(code="stray", severity=severity, sentence="A stray TAP lvt000fff.", fix="ip link del lvt000fff", subject="lvt000fff")
