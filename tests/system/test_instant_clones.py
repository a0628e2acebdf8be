# SPDX-License-Identifier: MIT
"""Instant clones on the real thing: a profile opts in, its template is made by itself, seats begin where it stopped, with addresses of
their own, and boot as ever whenever the template cannot serve."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.system.conftest import CLONING_SEATS as SEATS
from tests.system.house import House, guest, guest_address, special_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def house(cloning_house: House) -> House:
    return cloning_house


def kept(house: House) -> list[str]:
    told: dict[str, Any] = house.call("template", "list")
    return [each["template"]["name"] for each in told["kept"]]


def fresh(house: House, seat: int) -> dict[str, Any]:
    """The seat has a fresh run that answers; what it says of itself."""
    before = house.guest(seat)["run"]
    house.call("guest", "fresh", guest(seat))
    wait_for(lambda: (row := house.guest(seat))["run"] != before and row["state"] == "running", "the fresh run is ready", 60)
    return house.facts(seat, 30)


def test_seats_are_clones_of_a_template_that_is_made_by_itself(house: House) -> None:
    wait_for(lambda: kept(house) == ["tiny.t1"], f"the template is there: {house.call('job', 'list', '--all')}", 120)
    house.switch_on(SEATS)
    house.all_ready()
    rows = [house.guest(seat) for seat in range(1, SEATS + 1)]
    assert [row["origin"] for row in rows] == ["clone of tiny.t1"] * SEATS
    told = [house.facts(seat, 30) for seat in range(1, SEATS + 1)]
    assert [each["address"] for each in told] == [guest_address(seat) for seat in range(1, SEATS + 1)]
    assert len({each["mac"] for each in told}) == SEATS
    report = house.call("template", "list")
    assert (report["missing"], report["problem"], report["kept"][0]["stale"]) == ([], "", "")
    assert sorted(report["kept"][0]["users"]) == sorted(row["run"] for row in rows)
    assert report["kept"][0]["memory_bytes"] > 64 << 20
    # What one writes is its own.
    house.keep(guest(1), "lesson", "mine")
    assert house.records(guest_address(1)) == {"lesson": "mine"}
    assert house.records(guest_address(2)) == {}
    # A fresh machine forgets, and what was written is kept and can be read without a guest.
    assert fresh(house, 1)["kept"] == {}
    assert house.guest(1)["origin"] == "clone of tiny.t1"
    house.verify_clean()


def test_a_clone_outlives_the_controller_and_is_known_again(house: House) -> None:
    before = house.facts(2)
    for part in ("serve", "engine", "web"):
        if pid := house.part(part):
            house.kill(pid)
    house.serve()
    row = wait_for(lambda: (row := house.guest(2))["state"] == "running" and row, "it is adopted", 30)
    assert row["origin"] == "clone of tiny.t1"
    assert house.facts(2)["boot_id"] == before["boot_id"]
    assert fresh(house, 3)["address"] == guest_address(3)
    assert house.guest(3)["origin"] == "clone of tiny.t1"


def test_a_new_version_is_what_the_next_clones_are_of(house: House) -> None:
    opened = house.call("admin", "start", "tiny")["result"]
    house.facts_at(special_address(opened["guest"]), 60)
    house.keep(opened["guest"], "lesson", "ohms law")
    house.call("admin", "publish", "tiny")
    wait_for(lambda: "tiny.t2" in kept(house), "the new template", 120)
    assert house.guest(2)["origin"] == "clone of tiny.t1"  # nobody is disturbed
    assert fresh(house, 2)["address"] == guest_address(2)
    assert house.records(guest_address(2)) == {"lesson": "ohms law"}
    assert (house.guest(2)["origin"], house.guest(2)["disks"][0]["version"]) == ("clone of tiny.t2", 2)


def test_without_its_files_guests_boot_and_say_why(house: House) -> None:
    for place in (house.state / "templates").glob("tiny.t*"):
        if (place / "ram").exists():
            (place / "ram").chmod(0o600)
            with (place / "ram").open("r+b") as file:
                file.write(b"not what it was")
    fresh(house, 2)
    assert house.guest(2)["origin"].startswith("boot: tiny.t2: its file ram is not what it was"), house.guest(2)
    wait_for(lambda: "tiny.t3" in kept(house), "another is made", 120)
    fresh(house, 2)
    assert house.guest(2)["origin"] == "clone of tiny.t3"


def test_who_opts_out_boots_and_the_last_template_goes_with_the_last_clone(house: House) -> None:
    house.call("profile", "set", "tiny", "--no-instant-clone")
    for seat in range(1, SEATS + 1):
        fresh(house, seat)
        assert house.guest(seat)["origin"] == "boot"
    for run in house.call("rescue", "list"):
        house.call("rescue", "forget", run["run"])
    wait_for(lambda: kept(house) == [], "templates are gone", 60)
    assert not list((house.state / "templates").glob("tiny.*"))
    house.verify_clean()
    shutil.rmtree(house.state / "templates", ignore_errors=True)
