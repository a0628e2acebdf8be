# SPDX-License-Identifier: MIT
"""One seat writes more than its profile allows: it stands still and says why, nobody else notices, a fresh computer works."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

CAP_MIB = 24
FILL_MIB = 100


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 2, profile=("--overlay-cap", str(CAP_MIB)))
    house.serve()
    house.switch_on(2)
    house.all_ready()
    return house


def test_a_guest_that_writes_too_much_is_paused_and_stays_so(house: House) -> None:
    other = house.facts(2)["boot_id"]
    pid, run = house.machines()[guest(1)], house.guest(1)["run"]
    with house.serial(1) as line:
        line.say(f"exec dd if=/dev/urandom of=/dev/vda bs=1M seek=40 count={FILL_MIB} conv=fsync 2>&1; echo")
        row = wait_for(lambda: (r := house.guest(1))["state"] == "paused" and r, "it is paused", 90)
    assert f"{CAP_MIB} MiB" in row["reason"], row
    told = house.terminals[0].ask()
    assert (told["status"], told["help_code"]) == ("starting", "LV-PAUSED-01")
    assert row["reason"] in told["message"]
    used = sum(path.stat().st_blocks * 512 for path in house.run_folder(1).glob("overlay-*.qcow2"))
    assert used < (FILL_MIB << 20), used
    time.sleep(8)  # more than a slow round of the engine: there is room on the disk, and yet it is not resumed
    assert (house.state_of(1), house.machines()[guest(1)]) == ("paused", pid)
    assert house.terminals[1].ask()["status"] == "ready"
    assert house.facts(2)["boot_id"] == other

    house.call("guest", "fresh", guest(1))
    wait_for(lambda: house.guest(1)["run"] != run, "it has a new run", 60)
    house.all_ready()
    with house.serial(1) as line:
        assert line.shell("dd if=/dev/urandom of=/dev/vda bs=1M seek=40 count=4 conv=fsync 2>&1; echo")[1] == 0
    assert house.facts(2)["boot_id"] == other
    house.verify_clean()
