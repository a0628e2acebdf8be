# SPDX-License-Identifier: MIT
"""The host's disk fills up under a running guest: it pauses, everybody is told why, and it goes on by itself when there is room."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

DISK_MIB = 48
FILL_MIB = 120


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    """Its runs lie on a small file system that only the controller and its guests have mounted."""
    house = make_house()
    house.set_up(tiny, 2)
    host = house.call("host", "list")[0]["name"]
    house.call("host", "set", host, "--disk-reserve-mib", "2")
    house.serve(before=f"mount -t tmpfs -o size={DISK_MIB}M,mode=0700 labvirt-test {house.state}/runs")
    house.switch_on(2)
    house.all_ready()
    return house


def test_a_guest_pauses_on_a_full_disk_and_goes_on_when_there_is_room(house: House) -> None:
    root = Path(f"/proc/{house.part('engine')}/root")
    runs = root / house.state.relative_to("/") / "runs"
    assert (runs / house.guest(1)["run"]).is_dir()
    assert not list((house.state / "runs").iterdir())  # control: it is the small file system
    facts, pids = house.all_facts(), house.machines()
    ballast = runs / "ballast"
    ballast.write_bytes(bytes((DISK_MIB // 2) << 20))
    with house.serial(1, root=root) as line:
        line.say(f"exec dd if=/dev/urandom of=/dev/vda bs=1M seek=40 count={FILL_MIB} conv=fsync 2>&1; echo")
        row = wait_for(lambda: (r := house.guest(1))["state"] == "paused" and r, "it is paused", 90)
        assert "full" in row["reason"]
        told = house.terminals[0].ask()
        assert (told["status"], told["help_code"]) == ("starting", "LV-PAUSED-01")
        assert "full" in told["message"]
        assert house.machines() == pids
        # The other one does not write and is not touched.
        assert house.terminals[1].ask()["status"] == "ready"
        assert house.facts(2)["boot_id"] == facts[guest(2)]["boot_id"]
        ballast.unlink()
        _make_room(house, DISK_MIB + FILL_MIB + 64)
        wait_for(lambda: house.state_of(1) == "running", "it goes on by itself", 90)
        output = []
        while not (said := line.read(90)).startswith("exit "):
            output.append(said)
        assert said == "exit 0", output
    assert f"{FILL_MIB}+0 records out" in "\n".join(output)
    after = house.facts(1)
    assert (after["boot_id"], house.machines()) == (facts[guest(1)]["boot_id"], pids)
    assert any("pause" in entry["what"] for entry in house.call("audit", "list", "--subject", guest(1)))
    assert house.terminals[0].ask()["status"] == "ready"
    house.verify_clean()


def _make_room(house: House, mib: int) -> None:
    """Somebody has made room: the file system of the runs is bigger."""
    remount = ["mount", "-o", f"remount,size={mib}M", f"{house.state}/runs"]
    subprocess.run(["nsenter", f"--mount=/proc/{house.part('engine')}/ns/mnt", *remount], check=True, capture_output=True, timeout=20)
