# SPDX-License-Identifier: MIT
"""Discs on the real thing: a seat that boots from one once, and an operating system that is installed from one onto an empty disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system import disc
from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, guest_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 1, memory=256)
    house.serve()
    return house


@pytest.fixture(scope="module")
def iso(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc.make(tiny, tmp_path_factory.mktemp("iso") / "made")


def _from_disc(house: House, name: str) -> bool:
    with house.serial_of(name) as line:
        words = " ".join(line.shell("cat /proc/cmdline")[0])
    assert "console=ttyS0" in words
    return disc.MARK in words


def test_a_seat_boots_from_a_disc_until_its_next_fresh_run(house: House, iso: Path) -> None:
    wanted = house.call("guest", "run", guest(1), "--cdrom", str(iso), "--boot", "cdrom")
    assert (wanted["cdrom"], wanted["boot_cdrom"]) == (str(iso), True)
    wait_for(lambda: house.state_of(1) == "running", "it runs", 120)
    assert _from_disc(house, guest(1))
    house.call("guest", "fresh", guest(1))
    wait_for(lambda: (row := house.guest(1))["state"] == "running" and not row["boot_cdrom"], "it runs afresh", 120)
    assert house.guest(1)["cdrom"] == ""
    assert not _from_disc(house, guest(1))
    house.call("guest", "stop", guest(1), "--how", "stop")
    house.verify_clean()


@pytest.mark.timeout(600)
def test_a_system_is_installed_from_a_disc_and_published(house: House, iso: Path) -> None:
    house.call("image", "blank", "office", "--size", "256M")
    assert house.call("image", "show", "office")["published"] is None
    house.call("profile", "add", "office", "--memory", "256", "--disk", "office:virtio", "--protocol", "spice", "--ready-port", "7000")
    missing = house.run("admin", "start", "office", "--cdrom", str(iso.parent / "no.iso"), "--boot", "cdrom")
    assert missing.code != 0
    assert "no.iso" in missing.sentence
    result = house.call("admin", "start", "office", "--cdrom", str(iso), "--boot", "cdrom")["result"]
    assert _from_disc(house, result["guest"])
    with house.serial_of(result["guest"]) as line:
        output, status = line.shell(disc.INSTALL, 90)
        assert status == 0, output
        assert line.shell("dd if=/dev/vda bs=512 count=1 2>/dev/null | tail -c 2 | hexdump -C; echo")[0][0].split()[1:3] == ["55", "aa"]
    house.keep(result["guest"], "installed", "from the disc")
    house.call("admin", "publish", "office", "--note", "installed")
    shown = house.call("version", "show", "office", "2")
    assert (shown["stage"], shown["canary"]["green"]) == ("published", True)

    # Without its disc it boots from what was installed.
    house.call("profile", "set", "tiny", "--inactive")
    house.call("guest", "start", guest(1))
    wait_for(lambda: (row := house.guest(1))["state"] == "running" and row["profile"] == "office", "a seat runs it", 120)
    assert not _from_disc(house, guest(1))
    assert house.records(guest_address(1)) == {"installed": "from the disc"}
    house.verify_clean()
