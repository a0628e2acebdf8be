# SPDX-License-Identifier: MIT
"""Networks for the tests of this folder: each test has its own, and nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from labvirt.network.driver import LinuxNetwork
from tests.network import namespace, wire
from tests.network.dhcp_client import Client
from tests.network.namespace import Namespace


@pytest.fixture
def own_network() -> Iterator[Namespace]:
    """The test runs in a network namespace of its own; its processes end with it."""
    namespace = Namespace()
    try:
        with namespace.entered():
            yield namespace
    finally:
        namespace.close()


@pytest.fixture
def outside(own_network: Namespace) -> Iterator[Namespace]:
    """A terminal's side of a cable to the lab's bridge; the test itself plays the host."""
    LinuxNetwork().ensure_lab(wire.lab_a())
    there = Namespace()
    namespace.join(there, "lvb000", "term1")
    try:
        yield there
    finally:
        there.close()


@pytest.fixture
def client(outside: Namespace) -> Iterator[Client]:
    """DHCP clients at the terminal's end."""
    with outside.entered():
        made = Client()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder whose path names this test run, so that the next one finds what a killed one left."""
    folder = tmp_path / f"lvt-{os.getpid()}"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True, scope="session")
def no_leftovers() -> None:
    """DHCP servers outlive who started them, also a killed test run: they are ended now."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            found = re.search(rb"--conf-file=[^\0]*/lvt-([0-9]+)/networks/", words)
            if found and not Path(f"/proc/{int(found[1])}").exists():
                os.kill(int(entry.name), signal.SIGKILL)
