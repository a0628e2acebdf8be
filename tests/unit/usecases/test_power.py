# SPDX-License-Identifier: MIT
"""Starting and stopping by a person's word."""

from __future__ import annotations

from pathlib import Path

import pytest

from labvirt.domain.addresses import MacAddress
from labvirt.domain.guest import GuestState, Purpose, StopHow, Wish
from labvirt.domain.image import DiskChoice
from labvirt.errors import Conflict, EngineAway, GuestNotReady, InvalidInput, NotFound
from labvirt.usecases import asking, labs, power, profiles, specials, terminals
from tests.unit.usecases.conftest import Site


@pytest.mark.parametrize("name", ["pc-01", "lab-a-01"])
def test_a_guest_is_started_by_its_own_name_or_its_terminals(site: Site, name: str) -> None:
    guest = power.start(site.ports, name)
    assert (guest.name, guest.wish, guest.terminal) == ("lab-a-01", Wish.RUNNING, "pc-01")
    assert site.engine.pokes == 1
    assert power.start(site.ports, name) == guest
    assert len(site.history("lab-a-01")) == 1


def test_a_seat_without_terminal_can_be_started_and_others_are_not_found(site: Site) -> None:
    assert power.start(site.ports, "lab-a-08").terminal is None
    for wrong in ("lab-a-09", "lab-a-00", "lab-a-8", "lab-a-008", "lab-b-01", "nobody"):
        with pytest.raises(NotFound):
            power.start(site.ports, wrong)


def test_a_start_that_cannot_be_says_why(site: Site) -> None:
    profiles.change(site.ports, "desk", active=False)
    with pytest.raises(Conflict, match="not active"):
        power.start(site.ports, "pc-01")
    assert site.guest() is None
    profiles.change(site.ports, "desk", active=True)
    assert power.start(site.ports, "pc-01").state is GuestState.WANTED


def test_stop_verbs_only_get_stronger(site: Site) -> None:
    power.start(site.ports, "pc-01")
    site.move(GuestState.RUNNING)
    first = power.stop(site.ports, "pc-01")
    assert (first.wish, first.stop_how, first.generation) == (Wish.STOPPED, StopHow.SHUTDOWN, 2)
    kill = power.stop(site.ports, "pc-01", StopHow.KILL)
    assert (kill.stop_how, kill.generation) == (StopHow.KILL, 3)
    assert power.stop(site.ports, "pc-01", StopHow.SHUTDOWN) == kill
    site.move(GuestState.STOPPED)
    assert power.stop(site.ports, "pc-01", StopHow.KILL).generation == 3


def test_fresh_asks_for_a_new_run_of_a_living_guest(site: Site) -> None:
    power.start(site.ports, "pc-01")
    living = site.move(GuestState.RUNNING)
    after = power.fresh(site.ports, "pc-01")
    assert (after.generation, after.state) == (living.generation + 1, GuestState.WANTED)


def test_reset_is_the_engines_work_and_needs_a_living_guest(site: Site) -> None:
    power.start(site.ports, "pc-01")
    with pytest.raises(GuestNotReady):
        power.reset(site.ports, "pc-01")
    site.move(GuestState.RUNNING)
    power.reset(site.ports, "pc-01")
    assert ("reset", "lab-a-01") in site.engine.asked
    site.engine.away = True
    with pytest.raises(EngineAway):
        power.reset(site.ports, "pc-01")


def test_a_whole_lab(site: Site) -> None:
    for number in (2, 3):
        terminals.add(site.ports, lab="lab-a", mac=MacAddress(0x525400000000 + number))
    terminals.change(site.ports, "lab-a-t03", active=False)
    assert [guest.name for guest in power.start_lab(site.ports, "lab-a")] == ["lab-a-01", "lab-a-02"]
    for name in ("lab-a-01", "lab-a-02"):
        site.move(GuestState.RUNNING, name=name)
    stopped = power.stop_lab(site.ports, "lab-a", StopHow.STOP)
    assert {guest.wish for guest in stopped} == {Wish.STOPPED}
    assert len(stopped) == 2
    assert power.stop_lab(site.ports, "lab-a", StopHow.STOP) == ()
    labs.add(site.ports, name="empty", network=labs.parse_network("10.78.0.0/24"))
    with pytest.raises(Conflict, match="no active terminal"):
        power.start_lab(site.ports, "empty")
    with pytest.raises(NotFound):
        power.stop_lab(site.ports, "nowhere")


def test_a_persons_start_forgets_the_failures_and_a_terminals_question_does_not(site: Site) -> None:
    power.start(site.ports, "pc-01")
    site.move(GuestState.WANTED, failures=3)
    asking.ask(site.ports, "pc-01", None)
    assert site.guest().failures == 3
    assert power.start(site.ports, "pc-01").failures == 0
    site.move(GuestState.RUNNING, failures=2)
    assert power.start(site.ports, "pc-01").failures == 2  # nothing happens to one that lives


def test_a_disc_is_in_the_drive_until_the_next_fresh_run(site: Site, tmp_path: Path) -> None:
    disc = tmp_path / "debian.iso"
    disc.write_bytes(b"disc")
    guest = power.run_with_cdrom(site.ports, "pc-01", disc, boot=True)
    assert (guest.cdrom, guest.boot_cdrom, guest.state) == (str(disc), True, GuestState.WANTED)
    living = site.move(GuestState.RUNNING)
    assert power.start(site.ports, "pc-01") == living
    after = power.run_with_cdrom(site.ports, "lab-a-01", str(disc))
    assert (after.generation, after.boot_cdrom) == (living.generation + 1, False)
    fresh = power.fresh(site.ports, "pc-01")
    assert (fresh.cdrom, fresh.boot_cdrom) == ("", False)
    for wrong in (tmp_path, tmp_path / "absent.iso", tmp_path / "a\nb"):
        with pytest.raises(InvalidInput, match="cdrom"):
            power.run_with_cdrom(site.ports, "pc-01", wrong)


def test_special_guests_are_stopped_and_reset_by_name_and_not_started(site: Site) -> None:
    with site.ports.database.write() as work:
        specials.take(
            site.ports, work, "lab-a", purpose=Purpose.CANARY, profile="desk", disks=(DiskChoice(place=0, image="tiny", version=1),)
        )
        work.commit()
    name = "lab-a-s01"
    site.move(GuestState.RUNNING, name=name)
    power.start(site.ports, "pc-01")
    assert power.one(site.ports, name).purpose is Purpose.CANARY
    power.reset(site.ports, name)
    assert ("reset", name) in site.engine.asked
    for verb in (power.start, power.fresh):
        with pytest.raises(InvalidInput, match="special guest"):
            verb(site.ports, name)
    assert [guest.name for guest in power.stop_lab(site.ports, "lab-a")] == ["lab-a-01"]
    assert power.stop(site.ports, name, StopHow.KILL).wish is Wish.STOPPED
