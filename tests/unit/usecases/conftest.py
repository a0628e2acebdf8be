# SPDX-License-Identifier: MIT
"""A site on a real database and real disk files with one lab, one published image, one profile and one terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.domain.addresses import MacAddress
from labvirt.domain.guest import Guest, GuestState, RunId
from labvirt.domain.image import DiskChoice
from labvirt.domain.job import Job, JobState
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.usecases import images, jobs, labs, profiles, setup, terminals
from labvirt.usecases.ports import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.disks import Doors, doors
from tests.fakes.engine import FakeEngineLink
from tests.fakes.ports import ports_in

MAC = MacAddress.parse("52:54:00:00:00:01")
OWN = IPv4Address("10.77.0.65")
"""The planned address of the terminal at seat 1."""


@dataclass(frozen=True)
class Site:
    ports: Ports
    engine: FakeEngineLink
    clock: FakeClock
    root: Path
    doors: Doors
    numbers: dict[str, int] = field(default_factory=dict)

    def guest(self, name: str = "lab-a-01") -> Guest | None:
        with self.ports.database.read() as work:
            return work.guests.get(name)

    def move(self, state: GuestState, *, name: str = "lab-a-01", reason: str = "", failures: int | None = None) -> Guest:
        """What the engine would have written; a guest that begins to live runs from what was published then."""
        with self.ports.database.write() as work:
            guest = work.guests.one(name)
            after = guest.moved(state, self.clock.now(), reason)
            after = replace(after, failures=guest.failures if failures is None else failures)
            if after.alive and (after.run is None or after.run.generation != after.generation):
                published = work.images.one("tiny").published or 1
                after = replace(
                    after,
                    run=RunId(name, after.generation),
                    profile=after.profile or "desk",
                    disks=(DiskChoice(place=0, image="tiny", version=published),),
                )
            work.guests.update(after)
            work.commit()
        return after

    def history(self, subject: str) -> list[str]:
        with self.ports.database.read() as work:
            return [entry.what for entry in work.audit.last(100, subject)]

    def done(self, job: Job) -> Job:
        """The job after it was done here."""
        ended = jobs.run(self.ports, job.number)
        assert ended is not None
        assert ended.ended
        return ended

    def well(self, job: Job) -> Job:
        """The same, and it went well."""
        ended = self.done(job)
        assert ended.state is JobState.DONE, ended.error
        return ended

    def disk(self, content: bytes = b"labvirt " * 8192, name: str = "source.raw") -> Path:
        """A raw disk file somewhere else."""
        path = self.root / name
        path.write_bytes(content)
        return path


def opened(root: Path) -> Site:
    """What lies in `root`, through doors of its own."""
    ports = ports_in(root)
    assert isinstance(ports.engine, FakeEngineLink)
    assert isinstance(ports.clock, FakeClock)
    return Site(ports=ports, engine=ports.engine, clock=ports.clock, root=root, doors=doors(root))


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with everything of `site`, made once: an import goes through a jail and takes its time."""
    root = tmp_path_factory.mktemp("furnished")
    site = opened(root)
    ports = site.ports
    setup.init(ports, host="here")
    labs.add(ports, name="lab-a", network=labs.parse_network("10.77.0.0/24"), max_instances=8)
    site.well(images.import_image(ports, "tiny", site.disk(), format="raw", by="teacher"))
    profiles.add(ports, Profile(name="desk", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),)))
    terminals.add(ports, lab="lab-a", name="pc-01", mac=MAC)
    ports.database.close()
    return root


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """Set up, and nothing in it."""
    site = opened(tmp_path)
    setup.init(site.ports, host="here")
    yield site
    site.ports.database.close()


@pytest.fixture
def site(furnished: Path, tmp_path: Path) -> Iterator[Site]:
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)
    site = opened(tmp_path)
    yield site
    site.ports.database.close()
