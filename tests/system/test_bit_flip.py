# SPDX-License-Identifier: MIT
"""One bit of a published file changes: nobody starts from it, everybody is told which version and why, who runs goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, guest_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 2)
    house.call("image", "import", "tiny", str(tiny), "--format", "qcow2", "--draft")
    house.serve()
    house.switch_on(2)
    house.all_ready(house.terminals[:1])
    return house


def _flip(path: Path) -> None:
    """One bit in the last quarter; size, mode and the time of the last change are as before."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size * 3 // 4)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
        file.flush()
        os.fsync(file.fileno())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_mode) == (before.st_size, before.st_mtime_ns, before.st_mode)


def test_a_flipped_bit_is_found_before_the_next_start(house: House) -> None:
    first = next(each for each in house.call("version", "list", "tiny") if each["number"] == 1)
    before = house.facts(1)
    file = house.state / "images" / first["file"]
    _flip(file)
    two = house.terminals[1]
    two.ask()
    row = wait_for(lambda: (r := house.guest(2))["state"] == "failed" and r, "its start is refused", 60)
    assert "tiny v1" in row["reason"], row
    assert "tiny v1" in two.ask()["message"]
    scrubbed = house.run("image", "scrub", "tiny")
    assert scrubbed.code != 0
    assert "tiny v1" in scrubbed.stdout + scrubbed.stderr, scrubbed
    assert "tiny v2" not in str([each for each in house.findings() if each["code"].startswith("image")])

    now = house.facts(1)  # who runs, goes on
    assert (now["boot_id"], house.state_of(1)) == (before["boot_id"], "running")

    house.call("version", "publish", "tiny", "2", "--override", "v1 is damaged")
    house.call("guest", "start", guest(2))
    house.all_ready([two])
    assert house.facts_at(guest_address(2))["name"] == guest(2)
    assert house.guest(2)["disks"][0]["version"] == 2
    assert house.facts(1)["boot_id"] == before["boot_id"]

    _flip(file)  # it is whole again
    assert house.run("image", "scrub", "tiny").code == 0
    house.verify_clean()
