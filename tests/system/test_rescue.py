# SPDX-License-Identifier: MIT
"""Oops on the real thing: what a guest had written before it was killed, or started afresh, is looked at and started once more."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, guest_address, special, special_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 1)
    house.serve()
    house.switch_on(1)
    house.all_ready()
    return house


def _kept(house: House) -> dict[str, str]:
    return {each["run"]: each["why"] for each in house.call("rescue", "list")}


def _sums(house: House, run: str) -> dict[str, str]:
    folder = house.state / "kept" / run
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_what_a_killed_guest_had_written_is_started_once_more(house: House, tmp_path: Path) -> None:
    first = house.guest(1)["run"]
    house.keep(guest(1), "thesis", "chapter nine")
    pid = house.machines()[guest(1)]
    house.kill(pid)
    wait_for(lambda: house.machines().get(guest(1), pid) != pid, "a new machine is there", 60)
    wait_for(lambda: _kept(house) == {first: "crashed"}, "what it had written is kept")
    house.all_ready()
    second = house.guest(1)["run"]
    house.keep(guest(1), "poem", "unfinished")
    house.call("guest", "fresh", guest(1))
    wait_for(lambda: _kept(house) == {first: "crashed", second: "fresh"}, "that is kept too", 60)
    house.all_ready()
    assert house.records(guest_address(1)) == {}

    before = _sums(house, first)
    rescued = house.call("rescue", "start", first)
    assert (rescued["name"], rescued["purpose"], rescued["source"]) == (special(1), "rescue", first)
    assert house.records(special_address(special(1)), 60) == {"thesis": "chapter nine"}
    house.keep(special(1), "thesis", "chapter ten")
    assert house.run("rescue", "forget", first).code == 1  # somebody uses it
    assert [path["path"] for path in house.call("rescue", "files", first)] != []
    house.call("rescue", "files", first, "1/syslinux.cfg", "--to", str(tmp_path / "back"))
    assert "vmlinuz" in (tmp_path / "back" / "syslinux.cfg").read_text()
    house.call("guest", "stop", special(1))
    wait_for(lambda: house.row(special(1))["state"] == "stopped", "it is off", 60)
    assert _sums(house, first) == before
    house.verify_clean()


def test_without_a_budget_nothing_is_kept_for_long(house: House) -> None:
    assert _kept(house)  # control
    house.stop_serving()
    with (house.state / "labvirt.toml").open("a") as settings:
        settings.write("rescue_budget_mib = 0\n")
    house.serve()
    house.call("image", "gc")
    wait_for(lambda: _kept(house) == {}, "all is forgotten")
    assert not [path for path in (house.state / "kept").iterdir() if not path.name.startswith(".")]
    assert house.terminals[0].ask()["status"] == "ready"
    house.verify_clean()
