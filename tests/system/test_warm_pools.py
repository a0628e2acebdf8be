# SPDX-License-Identifier: MIT
"""Warm pools on the real thing: seats are served by what waits, each as itself, and neither a new version nor the death of the controller
leaves anything behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import CLONING_SEATS as SEATS
from tests.system.house import LAB, House, guest, guest_address, special_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def house(cloning_house: House) -> House:
    return cloning_house


def waiting(house: House) -> dict[str, int]:
    (told,) = house.call("pool", "list", LAB)
    return {kind: count for kind, count in told["waiting"].items() if count}


def test_each_seat_is_served_by_what_waits_for_it(house: House) -> None:
    house.call("pool", "set", LAB, "tiny", "--ready", "1", "--paused", "1", "--prespawned", "1")
    wait_for(lambda: waiting(house) == {"ready": 1, "paused": 1, "prespawned": 1}, "the pool is full", 180)
    house.verify_clean()
    house.switch_on(SEATS)
    house.all_ready()
    told = [house.facts(seat, 30) for seat in range(1, SEATS + 1)]
    assert [each["address"] for each in told] == [guest_address(seat) for seat in range(1, SEATS + 1)]
    for own in ("mac", "machine_id", "boot_id", "vmgenid", "random"):
        assert len({each[own] for each in told}) == SEATS, own
    origins = sorted(house.guest(seat)["origin"].removeprefix("ready: ") for seat in range(1, SEATS + 1))
    assert [origin.split(" clone of ")[0] for origin in origins[1:]] == ["paused", "prespawned"], house.logs()
    house.verify_clean()


def test_a_new_version_drains_the_pool_and_fills_it_anew(house: House) -> None:
    for seat in range(1, SEATS + 1):
        house.call("guest", "stop", guest(seat), "--how", "stop")
    house.call("pool", "set", LAB, "tiny", "--ready", "0", "--paused", "2", "--prespawned", "0")
    wait_for(lambda: waiting(house) == {"paused": 2}, "two wait", 120)
    opened = house.call("admin", "start", "tiny")["result"]
    house.facts_at(special_address(opened["guest"]), 60)
    house.keep(opened["guest"], "lesson", "ohms law")
    house.call("admin", "publish", "tiny")
    wait_for(lambda: _made_of(house) == {"tiny.t2"}, "what waits is of the new template", 180)
    served = next(seat for seat in range(1, SEATS + 1) if guest(seat) in _spares(house))
    house.call("guest", "start", guest(served))
    wait_for(lambda: house.guest(served)["state"] == "running", "it is served", 60)
    assert house.guest(served)["origin"] == "paused clone of tiny.t2"
    assert house.records(guest_address(served)) == {"lesson": "ohms law"}
    house.verify_clean()


def test_a_killed_controller_leaves_nothing_that_waits_for_nobody(house: House) -> None:
    wait_for(lambda: waiting(house).get("paused", 0) >= 1, "somebody waits", 120)
    living = [seat for seat in range(1, SEATS + 1) if house.guest(seat)["state"] == "running"]
    before = {seat: house.facts(seat)["boot_id"] for seat in living}
    assert machines() > {guest(seat) for seat in living}  # what waits is a process, too
    for part in ("serve", "engine", "web"):
        if pid := house.part(part):
            house.kill(pid)
    house.call("pool", "remove", LAB, "tiny")
    house.serve()
    wait_for(lambda: not _spares(house), "what waited is gone", 60)
    assert {seat: house.facts(seat)["boot_id"] for seat in living} == before
    assert machines() == {guest(seat) for seat in living}
    house.verify_clean()


def machines() -> set[str]:
    """The guests of this lab that QEMU has a process for, awake or not."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = each.read_bytes().split(b"\0")
            if b"qemu-system" in words[0] and words[1] == b"-name":
                found.add(words[2].decode().removeprefix("guest=").partition(",")[0])
    return {name for name in found if name.startswith(f"{LAB}-")}


def _spares(house: House) -> dict[str, Any]:
    with closing(sqlite3.connect(f"file:{house.state}/labvirt.db?mode=ro", uri=True)) as raw:
        return dict(raw.execute("SELECT guest, template FROM spares"))


def _made_of(house: House) -> set[str]:
    return set(_spares(house).values()) if waiting(house).get("paused") == 2 else set()
