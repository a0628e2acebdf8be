# SPDX-License-Identifier: MIT
"""Garbage collection: what goes, when, in which order, and what never does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from labvirt.domain.dependencies import Need
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import GuestState, RunId, StopHow
from labvirt.domain.image import chain_of
from labvirt.domain.job import Job, JobKind, JobState
from labvirt.domain.rubbish import RubbishKind
from labvirt.errors import DiskError, NotFound
from labvirt.usecases import garbage, images, jobs, power, versions
from tests.unit.usecases import library
from tests.unit.usecases.conftest import Site

DAY = 86400


def collected(site: Site) -> Job:
    """After another collection; what that asked for (scrub, flatten) is cancelled, so that it disturbs nobody."""
    done = site.well(garbage.collect(site.ports, by="the engine"))
    for number in jobs.unfinished(site.ports):
        jobs.cancel(site.ports, number, by="test")
    return done


def folders(site: Site) -> set[str]:
    return {entry.file.parent.name.partition("-")[0] for entry in site.ports.store.entries()}


def test_a_version_in_the_bin_goes_after_its_days_and_its_number_never_comes_back(site: Site) -> None:
    library.another(site, 2, publish=True)
    versions.bin(site.ports, "tiny", 1, by="anna")
    assert collected(site).result["removed"] == "0"
    (waiting,) = garbage.plan(site.ports)
    assert (waiting.kind, waiting.name, waiting.waits_for) == (RubbishKind.VERSION, "tiny v1", "")
    site.clock.go(7 * DAY + 1)
    dry = site.well(garbage.collect(site.ports, by="anna", dry_run=True))
    assert dry.result["would_remove"] == "1"
    assert "version tiny v1: goes now" in [line for _, line in jobs.lines(site.ports, dry.number)]
    assert folders(site) == {"v1", "v2"}
    assert collected(site).result["removed"] == "1"
    assert folders(site) == {"v2"}
    assert [version.number for version in library.versions(site)] == [2]
    assert images.one(site.ports, "tiny").image.previous is None
    assert garbage.plan(site.ports) == ()
    assert images.import_image(site.ports, "tiny", site.disk(), format="raw", by="anna").arguments["number"] == "3"


def test_who_stands_on_it_keeps_it(site: Site) -> None:
    ports = site.ports
    first = library.versions(site)[0]
    library.another(site, 2, publish=True)
    library.kept(site, RunId("lab-a-01", 3), first)
    versions.bin(ports, "tiny", 1, by="anna")
    users = garbage.dependents(ports, "tiny", 1)
    assert [(each.need, each.holds) for each in users] == [(Need.KEPT, False)]
    ports.disks.create_run(RunId("lab-a-05", 1), (_disk(site, 1),), uid=None)
    assert [each.name for each in garbage.dependents(ports, "tiny", 1)] == ["kept lab-a-01.g3", "lab-a-05.g1"]
    site.clock.go(7 * DAY + 1)
    job = collected(site)  # the kept overlay's time has come, the run's has not
    assert (job.result["removed"], job.result["waiting"]) == ("1", "1")
    assert folders(site) == {"v1", "v2"}
    ports.disks.remove_run(RunId("lab-a-05", 1))
    assert collected(site).result["removed"] == "1"
    assert folders(site) == {"v2"}


def _disk(site: Site, number: int) -> Any:
    from labvirt.contracts.disks import RunDisk

    known = library.versions(site)
    return RunDisk(place=0, chain=chain_of(next(each for each in known if each.number == number), known))


def test_an_image_in_the_bin_goes_whole_layers_first(site: Site) -> None:
    ports = site.ports
    library.layer(site, 2, 1)
    library.layer(site, 3, 2)
    with ports.database.write() as work:
        work.profiles.remove("desk")
        work.commit()
    images.bin(ports, "tiny", by="anna")
    site.clock.go(7 * DAY + 1)
    assert collected(site).result["removed"] == "1"
    assert folders(site) == set()
    with pytest.raises(NotFound):
        images.one(ports, "tiny")
    again = images.import_image(ports, "tiny", site.disk(), format="raw", by="anna")
    assert again.arguments["number"] == "4"


def test_files_without_an_owner_go_after_their_grace_and_reserved_numbers_stay(site: Site) -> None:
    ports = site.ports
    ports.store.blank_version(virtual_bytes=1 << 20, image="tiny", number=8)
    ports.store.blank_version(virtual_bytes=1 << 20, image="tiny", number=2)
    assert images.import_image(ports, "tiny", site.disk(), format="raw", by="anna").arguments["number"] == "2"
    site.well(garbage.collect(ports, by="the engine"))
    assert {entry.file.parent.name.partition("-")[0] for entry in images.orphans(ports)} == {"v2", "v8"}
    site.clock.go(DAY - 10)
    assert site.well(garbage.collect(ports, by="the engine")).result["removed"] == "0"
    site.clock.go(20)
    assert collected(site).result["removed"] == "1"  # the import's job is not ended
    assert folders(site) == {"v1", "v2"}
    site.clock.go(DAY)
    assert collected(site).result["removed"] == "1"
    assert folders(site) == {"v1"}


def test_drafts_that_are_over_go_and_living_ones_stay(site: Site) -> None:
    ports = site.ports
    for number, state in enumerate((DraftState.KEPT, DraftState.OPEN, DraftState.PUBLISHED, DraftState.DISCARDED), 1):
        library.draft(site, f"tiny.d{number}", state=state)
    ports.drafts.create("tiny.d9", chain_of(library.versions(site)[0], library.versions(site)))  # its row was never written
    assert collected(site).result["removed"] == "0"
    site.clock.go(DAY + 1)
    assert collected(site).result["removed"] == "1"
    site.clock.go(7 * DAY)
    assert collected(site).result["removed"] == "2"
    assert [each.name for each in ports.drafts.list()] == ["tiny.d1", "tiny.d2"]
    with ports.database.read() as work:
        assert [each.name for each in work.drafts.list()] == ["tiny.d1", "tiny.d2"]


def test_kept_overlays_go_by_age_and_budget_and_not_while_somebody_uses_them(site: Site) -> None:
    ports, first = site.ports, library.versions(site)[0]
    library.kept(site, RunId("lab-a-01", 1), first, hours_ago=25)
    library.kept(site, RunId("lab-a-02", 1), first, hours_ago=1)
    from labvirt.usecases import rescue

    guest = rescue.start(ports, "lab-a-01.g1", by="anna")
    assert collected(site).result == {"removed": "0", "bytes": "0", "waiting": "1"}
    power.stop(ports, guest.name, StopHow.KILL)
    site.move(GuestState.STOPPED, name=guest.name)
    assert collected(site).result["removed"] == "1"
    assert [str(each.run) for each in ports.kept.list()] == ["lab-a-02.g1"]
    tight = replace(site.ports, limits=replace(ports.limits, rescue_budget_mib=0))
    job = garbage.collect(tight, by="anna")
    assert jobs.run(tight, job.number) is not None
    assert ports.kept.list() == ()


def test_what_cannot_be_read_keeps_everything(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    library.another(site, 2, publish=True)
    versions.bin(site.ports, "tiny", 1, by="anna")
    site.clock.go(8 * DAY)

    def unreadable(self: object) -> None:
        raise DiskError("The header of lab-a-07.g3 cannot be read.")

    with monkeypatch.context() as patch:
        patch.setattr(type(site.ports.store), "references", unreadable)
        assert collected(site).result["removed"] == "0"
        assert "lab-a-07.g3" in garbage.plan(site.ports)[0].waits_for
    assert collected(site).result["removed"] == "1"


class Killed(BaseException):
    """As if by kill -9."""


@pytest.mark.parametrize("door, verb", [("store", "remove"), ("drafts", "remove"), ("kept", "remove")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_being_killed_anywhere_leaves_rows_with_files_and_the_next_one_ends_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, door: str, verb: str, when: str
) -> None:
    ports, first = site.ports, library.versions(site)[0]
    library.another(site, 2, publish=True)
    library.kept(site, RunId("lab-a-03", 1), first)
    library.draft(site, state=DraftState.DISCARDED)
    versions.bin(ports, "tiny", 1, by="anna")
    site.clock.go(8 * DAY)
    kind = type(getattr(ports, door))
    real: Callable[..., None] = getattr(kind, verb)

    def die(self: object, *args: object) -> None:
        if when == "after":
            real(self, *args)
        raise Killed

    job = garbage.collect(ports, by="the engine")
    with monkeypatch.context() as patch:
        patch.setattr(kind, verb, die)
        with pytest.raises(Killed):
            jobs.run(ports, job.number)
    there = {entry.file for entry in ports.store.entries()}
    assert all(version.file in there for version in library.versions(site))
    assert jobs.one(ports, job.number).state is JobState.RUNNING
    site.well(job)
    assert folders(site) == {"v2"}
    assert ports.kept.list() == ()
    assert ports.drafts.list() == ()
    assert garbage.plan(ports) == ()
    assert images.orphans(ports) == ()


def test_what_is_wanted_again_in_the_last_moment_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from labvirt.usecases import emptying

    library.another(site, 2, publish=True)
    versions.bin(site.ports, "tiny", 1, by="anna")
    site.clock.go(8 * DAY)
    real = emptying.take

    def restored_first(*args: Any) -> bool:
        versions.restore(site.ports, "tiny", 1, by="bert")
        return real(*args)

    monkeypatch.setattr(emptying, "take", restored_first)
    assert collected(site).result["removed"] == "0"
    assert folders(site) == {"v1", "v2"}


def test_the_house_asks_for_its_other_works(site: Site) -> None:
    for number in range(2, 7):
        library.layer(site, number, number - 1)
    versions.publish(site.ports, "tiny", 6, by="anna", override="x")
    site.well(garbage.collect(site.ports, by="the engine"))
    wanted = {(job.kind, job.subject) for job in jobs.everything(site.ports, unended=True)}
    assert wanted == {(JobKind.FLATTEN, "tiny v6"), (JobKind.SCRUB, "all images")}
    site.well(garbage.collect(site.ports, by="the engine"))
    assert len(jobs.unfinished(site.ports)) == 2  # not twice
    for number in jobs.unfinished(site.ports):
        assert jobs.run(site.ports, number) is not None
    site.well(garbage.collect(site.ports, by="the engine"))
    assert jobs.unfinished(site.ports) == ()
    site.clock.go(8 * DAY)
    site.well(garbage.collect(site.ports, by="the engine"))
    assert [job.kind for job in jobs.everything(site.ports, unended=True)] == [JobKind.SCRUB]
