# SPDX-License-Identifier: MIT
"""Oops: what was kept is listed, started once more on an overlay of its own, read, and thrown away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import Progress, silent
from labvirt.contracts.offline import OfflineEntry
from labvirt.domain.guest import GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.job import JobState
from labvirt.errors import Conflict, InUse, InvalidInput, NotFound
from labvirt.usecases import jobs, power, rescue
from labvirt.usecases.task import Task
from tests.unit.usecases import library
from tests.unit.usecases.conftest import Site

RUN = RunId("lab-a-01", 3)


class Reader:
    """A file system with one file, in whatever disk it is asked for. Keeps contracts.offline.OfflineFiles."""

    def __init__(self) -> None:
        self.layers: list[tuple[DiskLayer, ...]] = []

    def list(self, layers: tuple[DiskLayer, ...], folder: str = "", progress: Progress = silent) -> tuple[OfflineEntry, ...]:
        self.layers.append(layers)
        return (OfflineEntry(path=f"{folder or '1'}/work.odt", folder=False, size_bytes=4),)

    def fetch(self, layers: tuple[DiskLayer, ...], path: str, target: Path, progress: Progress = silent) -> int:
        if target.exists() and any(target.iterdir()):
            raise InvalidInput("target", "is not empty")
        self.layers.append(layers)
        target.mkdir(exist_ok=True)
        (target / "work.odt").write_bytes(b"work")
        progress(4, 4)
        return 4


@pytest.fixture
def reader(site: Site) -> Reader:
    return Reader()


@pytest.fixture
def site_with(site: Site, reader: Reader) -> Site:
    library.kept(site, RunId("lab-a-01", 2), library.versions(site)[0], hours_ago=2)
    library.kept(site, RUN, library.versions(site)[0], hours_ago=1)
    return replace(site, ports=replace(site.ports, offline=reader))


def test_what_is_kept_is_listed_the_newest_first(site_with: Site) -> None:
    found = rescue.everything(site_with.ports)
    assert [str(each.run) for each in found] == ["lab-a-01.g3", "lab-a-01.g2"]
    assert (found[0].goes_at - found[0].kept.ended_at).total_seconds() == 24 * 3600
    assert found[0].kept.used_bytes > 0
    for name in ("lab-a-01.g3", "lab-a-01", "pc-01"):
        assert rescue.one(site_with.ports, name).run == RUN
    assert rescue.everything(site_with.ports, guest="lab-a-02") == ()
    with pytest.raises(NotFound):
        rescue.one(site_with.ports, "lab-a-02")


def test_it_is_started_once_more_by_a_special_guest_and_not_twice(site_with: Site) -> None:
    ports = site_with.ports
    guest = rescue.start(ports, "pc-01", by="anna")
    assert (guest.name, guest.purpose, guest.source, guest.wish) == ("lab-a-s01", Purpose.RESCUE, "lab-a-01.g3", Wish.RUNNING)
    assert (guest.profile, [disk.version for disk in guest.disks]) == ("desk", [1])
    assert rescue.start(ports, "lab-a-01.g3", by="bert") == guest
    assert rescue.start(ports, "lab-a-01.g2", by="anna").name == "lab-a-s02"
    assert rescue.one(ports, str(RUN)).guest == "lab-a-s01"
    with pytest.raises(InUse, match="lab-a-s01"):
        rescue.forget(ports, str(RUN), by="anna")
    power.stop(ports, "lab-a-s01", StopHow.KILL)
    site_with.move(GuestState.STOPPED, name="lab-a-s01")
    assert rescue.one(ports, str(RUN)).guest is None
    assert rescue.forget(ports, str(RUN), by="anna").run == RUN
    assert [str(each.run) for each in rescue.everything(ports)] == ["lab-a-01.g2"]


def test_it_needs_its_profile_and_its_versions(site_with: Site) -> None:
    with site_with.ports.database.write() as work:
        work.profiles.remove("desk")
        work.commit()
    with pytest.raises(Conflict, match="profile desk"):
        rescue.start(site_with.ports, str(RUN), by="anna")
    assert site_with.guest("lab-a-s01") is None


def test_files_are_listed_and_fetched_by_a_job(site_with: Site, reader: Reader, tmp_path: Path) -> None:
    ports = site_with.ports
    assert [entry.path for entry in rescue.files(ports, "pc-01")] == ["1/work.odt"]
    assert [layer.path.name for layer in reader.layers[0]][-1] == "disk.qcow2"
    assert len(reader.layers[0]) == 2
    with pytest.raises(InvalidInput, match="disks 0"):
        rescue.files(ports, "pc-01", place=4)
    target = tmp_path / "out"
    done = site_with.well(rescue.fetch(ports, str(RUN), "1/work.odt", target, by="anna"))
    assert (done.result["bytes"], (target / "work.odt").read_bytes()) == ("4", b"work")
    with pytest.raises(InvalidInput, match="empty folder"):
        rescue.fetch(ports, str(RUN), "1/work.odt", target, by="anna")
    with pytest.raises(InvalidInput, match="whole disk"):
        rescue.fetch(ports, str(RUN), "/", tmp_path / "all", by="anna")


def test_a_fetch_whose_last_word_was_lost_says_it_again(site_with: Site, tmp_path: Path) -> None:
    ports, target = site_with.ports, tmp_path / "out"
    job = rescue.fetch(ports, str(RUN), "1/work.odt", target, by="anna")
    with pytest.raises(InUse, match="the job"):
        rescue.forget(ports, str(RUN), by="anna")
    with ports.database.write() as work:
        work.jobs.update(job := job.begun(site_with.clock.now()))
        work.commit()
    rescue.do_files(ports, Task(ports, job, lambda: False))  # killed before the job was DONE
    assert jobs.one(ports, job.number).state is JobState.RUNNING
    assert site_with.well(job).result == {"target": str(target), "bytes": "4"}


def test_the_real_door_reads_the_real_disk(site: Site) -> None:
    library.kept(site, RUN, library.versions(site)[0])
    assert [(entry.path, entry.folder) for entry in rescue.files(site.ports, str(RUN))] == [("1", True)]
