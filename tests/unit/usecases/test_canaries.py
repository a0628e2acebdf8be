# SPDX-License-Identifier: MIT
"""Canaries: each thing that is looked at can be red, and the guest is unwanted afterwards whatever happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labvirt.domain.addresses import LAST_SEAT
from labvirt.domain.canary import Canary
from labvirt.domain.guest import Guest, GuestState, Purpose, Wish
from labvirt.domain.image import DiskChoice
from labvirt.domain.image import Stage as VersionStage
from labvirt.domain.job import JobState
from labvirt.domain.lab import DhcpMode
from labvirt.domain.profile import Bus, Protocol, Slot, SlotKind
from labvirt.usecases import jobs, labs, sessions, versions
from tests.unit.usecases.conftest import Site
from tests.unit.usecases.played import Stage, picture, stage_of


@pytest.fixture
def stage(site: Site, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """With a version 2 that is sealed and not tried."""
    found = stage_of(site, monkeypatch)
    draft = found.session()
    found.trial.shut = True
    found.done(sessions.publish(found.ports, draft.name, by="anna"))
    found.trial.shut = False
    with found.ports.database.write() as work:
        work.canaries.remove("tiny", 2)
        work.commit()
    found.player.look()
    found.site.engine.given.clear()
    found.trial.asked.clear()
    return found


def tried(stage: Stage, number: int = 2) -> Canary:
    job = stage.well(versions.test(stage.ports, "tiny", number, by="anna"))
    with stage.ports.database.read() as work:
        canary = work.canaries.get("tiny", number)
    assert canary is not None
    assert job.result["green"] == ("yes" if canary.green else "no")
    assert all(guest.wish is Wish.STOPPED for guest in stage.guests())
    return canary


def canary_guest(stage: Stage) -> Guest:
    """That of the last trial."""
    return max((each for each in stage.guests() if each.purpose is Purpose.CANARY), key=lambda each: each.asked_at or each.since)


def profile(stage: Stage, **changes: object) -> None:
    with stage.ports.database.write() as work:
        work.profiles.update(replace(work.profiles.one("desk"), **changes))  # type: ignore[arg-type]
        work.commit()


def test_a_green_one_saw_everything_and_makes_the_version_tested(stage: Stage) -> None:
    profile(stage, checks=("office.py",))
    canary = tried(stage)
    assert canary.green
    names = ["it starts", "it gets its lease", "its spice port is open", "it shows a picture", "check office.py"]
    assert [step.name for step in canary.steps] == names
    assert stage.version(2).stage is VersionStage.TESTED
    assert stage.published() == 1
    asked = {str(address) for address, _ in stage.trial.asked}
    assert (asked, {port for _, port in stage.trial.asked}) == ({"10.77.0.1"}, {20000 + canary_guest(stage).seat})
    assert ("mint_display", canary_guest(stage).name, "10.77.0.1") in stage.site.engine.asked
    assert canary.log == "booted\n\n--- checks\npytest said this\n"
    assert stage.trial.pictures == {"tiny.v2.png": picture()}
    guest = canary_guest(stage)
    assert guest.disks == (DiskChoice(place=0, image="tiny", version=2),)
    assert guest.source.startswith("job-")
    assert stage.trial.guests[0].name == guest.name


def test_without_a_lease_it_is_red_and_without_a_port_too(stage: Stage) -> None:
    stage.player.leases = False
    canary = tried(stage)
    assert "it gets its lease: not within 180 s" in canary.why_red
    assert stage.version(2).stage is VersionStage.DRAFT
    stage.player.leases = True
    stage.trial.shut = True
    assert tried(stage).why_red.startswith("its spice port is open: not within 180 s: 10.77.0.1:")
    stage.trial.shut = False
    assert tried(stage).green


def test_a_blank_screen_is_red_and_its_picture_is_kept(stage: Stage) -> None:
    stage.player.picture = picture(colours=1)
    canary = tried(stage)
    assert "its screen has one colour only" in canary.why_red
    assert stage.trial.pictures[canary.picture] == picture(colours=1)


def test_a_failed_check_is_red_and_all_are_told(stage: Stage) -> None:
    profile(stage, checks=("office.py", "net.py"))
    stage.trial.wrong = {"office.py"}
    canary = tried(stage)
    assert not canary.green
    assert [step.ok for step in canary.steps][-2:] == [False, True]


def test_a_guest_that_cannot_start_is_red_at_once(stage: Stage) -> None:
    stage.player.fails = "its disk is damaged"
    canary = tried(stage)
    assert canary.why_red == "it starts: its disk is damaged"
    assert canary.seconds < 60


def test_a_machine_that_dies_meanwhile_is_red_at_once(stage: Stage) -> None:
    stage.player.leases = False

    def dies() -> None:
        guest = next(each for each in stage.guests() if each.purpose is Purpose.CANARY)
        with stage.ports.database.write() as work:
            work.guests.update(replace(guest.moved(GuestState.WANTED, stage.site.clock.now(), "its machine ended by itself"), failures=1))
            work.commit()
        stage.player.starts = False

    stage.player.after += [lambda: None, lambda: None, dies]
    assert "its machine does not run: its machine ended by itself" in tried(stage).why_red


def test_rdp_is_looked_for_at_the_guest(stage: Stage) -> None:
    profile(stage, protocol=Protocol.RDP)
    assert tried(stage).green
    profile(stage, protocol=Protocol.RDP, ready_port=3390)
    assert tried(stage).green
    assert [port for _, port in stage.trial.asked] == [3389, 3390]
    with stage.ports.database.read() as work:
        lab = work.labs.one("lab-a")
    own = {lab.identity(guest.seat).address for guest in stage.guests() if guest.seat > LAST_SEAT}
    assert {address for address, _ in stage.trial.asked} <= own


def test_where_the_profile_pins_another_version_the_candidate_is_tried_all_the_same(stage: Stage) -> None:
    pinned = Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny", version=1)
    profile(stage, slots=(pinned, pinned))
    assert tried(stage).green
    guest = next(each for each in stage.guests() if each.purpose is Purpose.CANARY)
    assert [disk.version for disk in guest.disks] == [2, 1]


def test_a_cancelled_one_leaves_no_guest_wanted(stage: Stage) -> None:
    stage.player.leases = False
    job = versions.test(stage.ports, "tiny", 2, by="anna")
    stage.player.after += [lambda: None, lambda: jobs.cancel(stage.ports, job.number, by="anna") and None]  # type: ignore[func-returns-value]
    assert stage.done(job).state is JobState.CANCELLED
    assert all(guest.wish is Wish.STOPPED for guest in stage.guests())
    with stage.ports.database.read() as work:
        assert work.canaries.get("tiny", 2) is None


def test_a_killed_one_is_unwanted_by_mending_as_soon_as_its_job_is_over(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    job = versions.test(stage.ports, "tiny", 2, by="anna")
    with monkeypatch.context() as dying:
        dying.setattr("labvirt.usecases.canaries._Trial.all", killed)
        dying.setattr("labvirt.usecases.canaries._unwanted", lambda *_: None)
        with pytest.raises(Killed):
            jobs.run(stage.ports, job.number)
    guest = next(each for each in stage.guests() if each.purpose is Purpose.CANARY)
    assert guest.wish is Wish.RUNNING
    sessions.mend(stage.ports)
    assert stage.site.guest(guest.name) == guest
    with stage.ports.database.write() as work:
        work.jobs.update(work.jobs.one(job.number).over(JobState.FAILED, stage.site.clock.now()))
        work.commit()
    sessions.mend(stage.ports)
    after = stage.site.guest(guest.name)
    assert after is not None
    assert after.wish is Wish.STOPPED


def test_where_the_campus_gives_the_addresses_no_lease_is_waited_for_and_none_is_claimed(stage: Stage) -> None:
    stage.player.leases = False
    assert not tried(stage).green
    labs.change(stage.ports, "lab-a", dhcp=DhcpMode.PROXY)
    canary = tried(stage)
    assert canary.green
    (step,) = [each for each in canary.steps if each.name == "it gets its lease"]
    assert step.said.startswith("not seen: the campus gives 10.77.0.")
    assert step.said.endswith("and nothing proves it")  # its display is on the gateway
