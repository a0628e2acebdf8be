# SPDX-License-Identifier: MIT
"""A terminal that is switched off lets its guest be stopped after the grace, one that restarts leaves it, and policies say otherwise."""

from __future__ import annotations

import time
from ipaddress import IPv4Address

import pytest

from labvirt.domain.guest import GuestState, StopHow, Wish
from labvirt.domain.power_order import PowerWord
from labvirt.domain.power_policy import OnPowerOff
from labvirt.errors import NotFound
from labvirt.usecases import asking, labs, leaving, power_times
from tests.unit.usecases.conftest import MAC, OWN, Site

GRACE = 60


@pytest.fixture
def seated(site: Site) -> Site:
    """The guest of the first seat runs."""
    site.engine.lease("lab-a", MAC, OWN)
    asking.ask(site.ports, str(MAC), OWN)
    site.move(GuestState.RUNNING)
    return site


def goodbye(site: Site, word: PowerWord) -> None:
    assert asking.heartbeat(site.ports, str(MAC), OWN, viewer="none", goodbye=word) is None


def later(site: Site, seconds: float) -> Wish:
    site.clock.go(seconds)
    leaving.stop_due(site.ports)
    guest = site.guest()
    assert guest is not None
    return guest.wish


def kept_viewer(site: Site) -> str:
    with site.ports.database.read() as work:
        return next((beat.viewer for beat in work.heartbeats.list() if beat.terminal == "pc-01"), "")


def test_off_stops_the_guest_by_its_power_button_after_the_grace(seated: Site) -> None:
    goodbye(seated, PowerWord.SHUTDOWN)
    assert later(seated, GRACE - 1) is Wish.RUNNING
    assert later(seated, 1) is Wish.STOPPED
    guest = seated.guest()
    assert guest is not None
    assert guest.stop_how is StopHow.SHUTDOWN
    assert "is switched off, it says; its guest is stopped in 60 s unless it comes back" in seated.history("pc-01")


def test_a_restart_leaves_it(seated: Site) -> None:
    goodbye(seated, PowerWord.RESTART)
    assert later(seated, 10 * GRACE) is Wish.RUNNING
    goodbye(seated, PowerWord.SHUTDOWN)  # the control
    assert later(seated, GRACE) is Wish.STOPPED


@pytest.mark.parametrize("lab, seat, wish", [("keep", None, "running"), ("stop", "keep", "running"), ("keep", "stop", "stopped")])
def test_the_policy_of_the_seat_goes_before_that_of_the_lab(seated: Site, lab: str, seat: str | None, wish: str) -> None:
    power_times.change(seated.ports, "lab-a", on_power_off=OnPowerOff(lab))
    if seat is not None:
        assert leaving.set_seat(seated.ports, "pc-01", OnPowerOff(seat)) == seat
    goodbye(seated, PowerWord.SHUTDOWN)
    assert later(seated, GRACE) == wish
    assert leaving.set_seat(seated.ports, "pc-01", None) == lab


def test_who_comes_back_in_time_finds_his_guest(seated: Site) -> None:
    goodbye(seated, PowerWord.SHUTDOWN)
    seated.clock.go(1)
    asking.heartbeat(seated.ports, str(MAC), OWN, viewer="running")  # it was on its way before the goodbye
    seated.clock.go(40)
    asking.heartbeat(seated.ports, str(MAC), OWN, viewer="starting")
    assert later(seated, 10 * GRACE) is Wish.RUNNING
    assert "is back" in seated.history("pc-01")


def test_a_heartbeat_that_was_on_its_way_calls_nothing_off(seated: Site) -> None:
    goodbye(seated, PowerWord.SHUTDOWN)
    seated.clock.go(1)
    asking.heartbeat(seated.ports, str(MAC), OWN, viewer="running")
    deadline = time.monotonic() + 60
    while kept_viewer(seated) != "running":  # it is kept a second later (beats.py)
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert later(seated, GRACE) is Wish.STOPPED


def test_without_grace_it_is_at_once_and_last_words_start_nothing(seated: Site) -> None:
    labs.change(seated.ports, "lab-a", leave_grace_seconds=0)
    goodbye(seated, PowerWord.SHUTDOWN)
    guest = seated.guest()
    assert guest is not None
    assert guest.wish is Wish.STOPPED
    seated.move(GuestState.STOPPING)
    seated.move(GuestState.STOPPED)
    asking.ask(seated.ports, str(MAC), OWN)  # a question that was held when the power went
    guest = seated.guest()
    assert guest is not None
    assert guest.wish is Wish.STOPPED
    seated.clock.go(60)
    asking.ask(seated.ports, str(MAC), OWN)
    guest = seated.guest()
    assert guest is not None
    assert guest.wish is Wish.RUNNING


def test_a_goodbye_that_is_said_twice_counts_from_the_first(seated: Site) -> None:
    goodbye(seated, PowerWord.SHUTDOWN)
    seated.clock.go(3)
    goodbye(seated, PowerWord.SHUTDOWN)
    assert later(seated, GRACE - 3) is Wish.STOPPED


def test_a_power_key_says_goodbye_without_an_id_from_its_own_address_only(seated: Site) -> None:
    with pytest.raises(NotFound):
        asking.heartbeat(seated.ports, None, IPv4Address("10.77.0.99"), viewer="none", goodbye=PowerWord.SHUTDOWN)
    assert later(seated, GRACE) is Wish.RUNNING
    asking.heartbeat(seated.ports, None, OWN, viewer="none", goodbye=PowerWord.SHUTDOWN)
    assert later(seated, GRACE) is Wish.STOPPED
