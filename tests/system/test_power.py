# SPDX-License-Identifier: MIT
"""A whole controller and a real kiosk program at the far end of a cable: woken, known, told to restart, heard saying goodbye."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system import netns
from tests.system.house import LAB, NETWORK, House, mac, wait_for
from tests.system.terminal import GATEWAY, PORT, Terminal

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]

KIOSK = Path(__file__).parents[2] / "kiosk" / "labvirt-kiosk"
SYSTEMCTL = """#!/bin/sh
echo "$1" >> "$(dirname "$0")/told"
"""


@pytest.fixture(scope="module")
def house(make_house: Callable[..., House]) -> House:
    """A lab with one terminal and no computer for it."""
    made = make_house()
    made.state.parent.mkdir(parents=True, exist_ok=True)
    assert made.program("init").code == 0
    made.bridge = made.call("lab", "add", LAB, "--network", NETWORK)["bridge"]
    made.call("terminal", "add", "pc-1", "--lab", LAB, "--seat", "1", "--mac", mac(1))
    made.serve()
    made.switch_on(1)
    return made


@contextmanager
def kiosk(terminal: Terminal, folder: Path, *options: str) -> Iterator[Callable[[], list[str]]]:
    """A kiosk program runs there; gives what its machine was told."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)
    argv = [sys.executable, str(KIOSK), "--url", f"http://{GATEWAY}:{PORT}/", "--interface", "eth0", *options]
    environment = {**os.environ, "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    entered = ["ip", "netns", "exec", terminal.namespace, *argv, "--state", str(folder / "state")]
    running = subprocess.Popen(entered, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    told = programs / "told"
    try:
        yield lambda: told.read_text().split() if told.exists() else []
    finally:
        running.kill()
        running.wait(20)


def test_a_magic_packet_comes_out_of_the_cable(house: House) -> None:
    def listen() -> socket.socket:
        card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))  # ETH_P_IP, linux/if_ether.h
        card.bind(("eth0", 0))
        return card

    with netns.inside(house.terminals[0].namespace, listen) as card:
        card.settimeout(30)
        assert house.call("terminal", "wake", "pc-1")["mac"] == mac(1)
        wanted = b"\xff" * 6 + bytes.fromhex(mac(1).replace(":", "")) * 16
        while not card.recv(2048).endswith(wanted):
            pass  # somebody else's frame
    assert "a magic packet was sent" in str(house.call("audit", "list", "--subject", "pc-1"))


def test_a_kiosk_tells_its_machine_and_obeys_one_order_once(house: House, tmp_path: Path) -> None:
    with kiosk(house.terminals[0], tmp_path, "--orders") as told:
        said = wait_for(lambda: house.call("terminal", "show", "pc-1")["hardware"], "the hardware is told")
        assert said["memory_mib"] > 100
        assert said["interface"] == "eth0"
        order = house.call("terminal", "restart", "pc-1")
        wait_for(told, "the machine is told to restart", 40)
        assert told() == ["reboot"]
        (last,) = house.call("terminal", "orders", "pc-1")
        assert (last["number"], last["state"]) == (order["number"], "done")
        assert "restarts, it says; its guest stays" in str(house.call("audit", "list", "--subject", "pc-1"))
        house.verify_clean()


def test_a_kiosk_on_a_machine_of_somebody_refuses(house: House, tmp_path: Path) -> None:
    with kiosk(house.terminals[0], tmp_path) as told:
        number = house.call("terminal", "shutdown", "pc-1")["number"]

        def state() -> str:
            return next(str(each["state"]) for each in house.call("terminal", "orders", "pc-1") if each["number"] == number)

        wait_for(lambda: state() == "refused", "the order is refused", 40)
        assert told() == []
