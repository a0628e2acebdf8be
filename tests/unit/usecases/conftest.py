# SPDX-License-Identifier: MIT
"""A site on a real database with one lab, one published image, one profile and one terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.domain.addresses import MacAddress
from labvirt.domain.guest import Guest, GuestState, RunId
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.usecases import images, labs, profiles, setup, terminals
from labvirt.usecases.ports import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.disks import MemoryDisks
from tests.fakes.engine import FakeEngineLink

MAC = MacAddress.parse("52:54:00:00:00:01")
OWN = IPv4Address("10.77.0.65")
"""The planned address of the terminal at seat 1."""


@dataclass(frozen=True)
class Site:
    ports: Ports
    engine: FakeEngineLink
    clock: FakeClock
    disks: MemoryDisks

    def guest(self, name: str = "lab-a-01") -> Guest | None:
        with self.ports.database.read() as work:
            return work.guests.get(name)

    def move(self, state: GuestState, *, name: str = "lab-a-01", reason: str = "", failures: int | None = None) -> Guest:
        """What the engine would have written."""
        with self.ports.database.write() as work:
            guest = work.guests.one(name)
            after = guest.moved(state, self.clock.now(), reason)
            after = replace(after, failures=guest.failures if failures is None else failures)
            if after.alive and after.run is None:
                after = replace(after, run=RunId(name, after.generation), profile="desk")
            work.guests.update(after)
            work.commit()
        return after

    def history(self, subject: str) -> list[str]:
        with self.ports.database.read() as work:
            return [entry.what for entry in work.history.last(100, subject)]


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """Set up, and nothing in it."""
    engine, clock, disks = FakeEngineLink(), FakeClock(), MemoryDisks()
    database = SqliteDatabase.open(tmp_path / "labvirt.db", create=True)
    ports = Ports(database=database, engine=engine, clock=clock, disks=disks)
    setup.init(ports, host="here")
    yield Site(ports=ports, engine=engine, clock=clock, disks=disks)
    database.close()


@pytest.fixture
def site(empty_site: Site, tmp_path: Path) -> Site:
    ports = empty_site.ports
    source = tmp_path / "disk.qcow2"
    source.write_bytes(b"disk")
    labs.add(ports, name="lab-a", network=labs.parse_network("10.77.0.0/24"), max_instances=8)
    images.add(ports, "tiny", source, format="qcow2")
    profiles.add(ports, Profile(name="desk", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),)))
    terminals.add(ports, lab="lab-a", name="pc-01", mac=MAC)
    empty_site.engine.asked.clear()
    return empty_site
