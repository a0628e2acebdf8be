# SPDX-License-Identifier: MIT
"""The stop verbs, fresh runs, images that are damaged, and a host that is full: two seats of real guests, a third that waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.system import spice
from tests.system.conftest import MakeHouse
from tests.system.house import GATEWAY, House, guest, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

MARK = "written-by-a-test-in-this-run"
MARK_AT = 64 * 2048
"""Sector of the disk that nothing uses: 64 MiB (images/tiny/README.md: nothing is stored from 32 MiB on)."""


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 3)
    house.serve()
    house.switch_on(3)
    house.all_ready(house.terminals[:1])
    return house


def _write_mark(house: House, seat: int) -> None:
    with house.serial(seat) as line:
        output, status = line.shell(f"echo {MARK} | dd of=/dev/vda bs=512 seek={MARK_AT} conv=sync,fsync 2>/dev/null; echo done")
    assert (output, status) == (["done"], 0)


def _read_mark(house: House, seat: int) -> bool:
    with house.serial(seat) as line:
        output, _ = line.shell(f"dd if=/dev/vda bs=512 skip={MARK_AT} count=1 iflag=direct 2>/dev/null | tr -d '\\000'; echo")
    return MARK in "\n".join(output)


def _again(house: House, seat: int, boot_id: str) -> dict[str, Any]:
    """The facts of the guest's next boot."""

    def booted() -> dict[str, Any] | None:
        try:
            told = house.facts(seat, 0.5)
        except (OSError, ValueError):
            return None
        return told if told["boot_id"] != boot_id else None

    found: dict[str, Any] = wait_for(booted, "the guest has booted again", 90)
    return found


def test_reset_keeps_run_and_disk_and_fresh_forgets_both(house: House) -> None:
    first, facts, pid = house.guest(1), house.facts(1), house.machines()[guest(1)]
    _write_mark(house, 1)
    assert _read_mark(house, 1)
    house.call("guest", "reset", guest(1))
    facts = _again(house, 1, facts["boot_id"])
    assert (house.guest(1)["run"], house.machines()[guest(1)]) == (first["run"], pid)
    wait_for(lambda: _read_mark(house, 1), "the disk is there and still has what was written")
    house.call("guest", "fresh", guest(1))
    _again(house, 1, facts["boot_id"])
    wait_for(lambda: house.state_of(1) == "running", "the fresh run is ready")
    assert house.guest(1)["run"] != first["run"]
    assert house.machines()[guest(1)] != pid
    wait_for(lambda: _disk(house, 1), "the disk is there")
    assert not _read_mark(house, 1)
    wait_for(lambda: not (house.state / "runs" / first["run"]).exists(), "the run before has left nothing")
    house.verify_clean()


def _disk(house: House, seat: int) -> bool:
    with house.serial(seat) as line:
        return line.shell("test -b /dev/vda")[1] == 0


@pytest.mark.parametrize("how", ["shutdown", "stop", "kill"])
def test_each_way_of_stopping_ends_the_machine_and_a_question_starts_it_again(house: House, how: str) -> None:
    house.all_ready(house.terminals[:1])
    pid, run = house.machines()[guest(1)], house.guest(1)["run"]
    told = house.call("guest", "stop", guest(1), "--how", how)
    assert told["wish"] == "stopped"
    row = wait_for(lambda: (r := house.guest(1))["state"] == "stopped" and r, f"{how} has stopped it", 60)
    assert house.gone(pid)
    assert row["failures"] == 0
    wait_for(lambda: not (house.state / "runs" / run).exists(), "its overlay is gone")
    house.verify_clean()
    if how != "stop":
        return
    assert house.terminals[0].ask()["status"] in ("starting", "inactive")
    house.all_ready(house.terminals[:1])
    assert house.machines()[guest(1)] != pid


@pytest.mark.parametrize("policy", ["keep", "stop"])
def test_what_happens_when_the_viewer_leaves_is_the_labs_policy(house: House, policy: str) -> None:
    # A new run: from one whose viewer left long ago a new policy would take effect at once.
    house.call("guest", "stop", guest(1), "--how", "kill")
    wait_for(lambda: house.state_of(1) == "stopped", "it is stopped")
    house.call("lab", "set", "sys", "--on-leave", policy, "--leave-grace-seconds", "2")
    try:
        (terminal,) = house.terminals[:1]
        (answer,) = house.all_ready([terminal])
        assert answer["on_leave"] == policy
        pid = house.machines()[guest(1)]
        secret = terminal.ticket().told["secret"]
        with spice.Viewer(terminal.connect(GATEWAY, answer["port"]), terminal.authority()) as viewer:
            assert viewer.link(secret) == spice.OK
            wait_for(lambda: house.state_of(1) == "connected", "the viewer is seen")
        if policy == "keep":
            wait_for(lambda: house.state_of(1) == "running", "the viewer has left")
            assert house.machines()[guest(1)] == pid
        else:
            wait_for(lambda: house.state_of(1) == "stopped", "the guest is stopped after the grace", 60)
            assert house.gone(pid)
    finally:
        house.call("lab", "set", "sys", "--on-leave", "keep", "--leave-grace-seconds", "60")


def test_an_inactive_terminal_gets_no_guest(house: House) -> None:
    house.call("terminal", "set", "pc-2", "--inactive")
    told = wait_for(lambda: (a := house.terminals[1].ask())["status"] == "inactive" and a, "it is refused")
    assert "administrator" in told["message"]
    assert guest(2) not in house.machines()
    assert house.terminals[1].ticket().status == 403
    house.call("terminal", "set", "pc-2", "--active")


@pytest.mark.timeout(600)
def test_a_full_host_says_so_and_gives_the_place_that_becomes_free(house: House) -> None:
    """So much memory is kept that two of these guests fit and a third does not: half a guest of play on either side."""
    house.call("lab", "stop", "sys", "--how", "kill")
    wait_for(lambda: not house.machines(), "nothing runs")
    free = _available_mib()
    size = min(1536, free // 6)
    need = size + 96
    host = house.call("host", "list")[0]["name"]
    house.call("profile", "set", "tiny", "--memory", str(size))
    house.call("host", "set", host, "--memory-reserve-mib", str(free - 2 * need - need // 2))
    try:
        one, two, three = house.terminals
        wait_for(lambda: {one.ask()["status"], two.ask()["status"]} and len(house.machines()) == 2, "two are started", 60)
        told = wait_for(lambda: (a := three.ask())["status"] == "full" and a, "the third hears that all is full")
        assert told["help_code"] == "LV-FULL-03"
        assert "memory" in told["waits_for"]
        assert guest(3) not in house.machines()
        house.call("guest", "stop", guest(1), "--how", "kill")
        wait_for(lambda: guest(3) in house.machines(), "the third has the free place", 40)
        house.all_ready([three])
    finally:
        house.call("host", "set", host, "--memory-reserve-mib", "512")
        house.call("profile", "set", "tiny", "--memory", "128")
        house.call("lab", "stop", "sys", "--how", "kill")
        wait_for(lambda: not house.machines(), "nothing runs")


def _available_mib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise AssertionError("no MemAvailable")


@pytest.mark.parametrize("damage", ["header", "truncated", "missing", "mode"])
def test_a_damaged_image_fails_the_start_with_its_version_and_nothing_else(house: House, damage: str) -> None:
    (image,) = (house.state / "images").rglob("*.qcow2")
    mode, content = image.stat().st_mode, image.read_bytes()
    image.chmod(0o600)
    try:
        if damage == "missing":
            image.rename(image.with_suffix(".aside"))
        elif damage != "mode":
            image.write_bytes(b"X" + content[1:] if damage == "header" else content[: len(content) // 2])
            image.chmod(0o444)
        house.call("guest", "fresh", guest(2))
        row = wait_for(lambda: (r := house.guest(2))["state"] == "failed" and r, "the start has failed", 60)
        told = wait_for(lambda: (a := house.terminals[1].ask())["status"] == "failed" and a, "its terminal is told", 20)
        assert told["help_code"] == "LV-FAILED-02"
        assert row["reason"] in told["message"]
        assert "tiny" in row["reason"], row
        assert "v1" in row["reason"], row
        assert guest(2) not in house.machines()
        wait_for(lambda: not list((house.state / "runs").glob(f"{guest(2)}.g*")), "its folders are gone", 20)
        checked = house.run("image", "check")
        assert checked.code == 1
        assert checked.json["findings"][0]["fix"]
        assert house.run("verify").code == 1
    finally:
        if damage == "missing":
            image.with_suffix(".aside").rename(image)
        else:
            image.chmod(0o600)
            image.write_bytes(content)
        image.chmod(mode & 0o7777)
    assert house.call("image", "check")["ok"]
    if damage != "mode":
        return
    house.call("guest", "fresh", guest(2))
    wait_for(lambda: house.state_of(2) == "running", "control: with the whole file it starts", 90)
    house.call("guest", "stop", guest(2), "--how", "kill")
    wait_for(lambda: house.state_of(2) == "stopped", "it is stopped")
    house.verify_clean()
