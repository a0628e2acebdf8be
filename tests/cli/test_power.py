# SPDX-License-Identifier: MIT
"""labvirt terminal and lab: wake, orders, times, policies, hardware."""

from __future__ import annotations

from ipaddress import IPv4Address

from labvirt.domain.addresses import MacAddress
from labvirt.domain.hardware import Hardware
from labvirt.usecases import asking, hardware
from tests.cli.conftest import Line

MAC = "52:54:00:00:00:07"


def furnish(line: Line) -> None:
    line.json("lab", "add", "room", "--network", "10.9.0.0/24")
    line.json("terminal", "add", "pc-07", "--lab", "room", "--seat", "7", "--mac", MAC)
    line.json("terminal", "add", "pc-08", "--lab", "room", "--seat", "8", "--id", "x-8")
    line.engine.lease("room", MacAddress.parse(MAC), IPv4Address("10.9.0.71"))


def test_waking(line: Line) -> None:
    furnish(line)
    assert line.json("terminal", "wake", "pc-07")["mac"] == MAC
    assert ("wake", "room", MAC) in line.engine.asked
    told = line.json("lab", "wake", "room")
    assert ([each["name"] for each in told["woken"]], [each["name"] for each in told["unknown"]]) == (["pc-07"], ["pc-08"])
    assert "cannot be woken" in line.json("terminal", "wake", "pc-08", code=1)["error"]["sentence"]
    line.engine.away = True
    line.json("terminal", "wake", "pc-07", code=3)


def test_orders(line: Line) -> None:
    furnish(line)
    placed = line.json("terminal", "restart", "pc-07")
    assert (placed["terminal"], placed["word"], placed["state"]) == ("pc-07", "restart", "waiting")
    assert line.json("terminal", "cancel", "pc-07")["state"] == "cancelled"
    line.json("terminal", "cancel", "pc-07", code=1)
    line.json("terminal", "shutdown", "pc-07", "--grace", "60")
    assert [order["word"] for order in line.json("terminal", "orders", "pc-07")] == ["shutdown", "restart"]
    line.json("terminal", "shutdown", "pc-07", "--grace", "99999", code=2)
    assert "at its first heartbeat" in line.run("terminal", "restart", "pc-07").stdout
    off = line.json("lab", "shutdown-terminals", "room")
    assert [(each["terminal"], each["order"]) for each in off] == [("pc-07", None), ("pc-08", None)]
    with line.ports() as ports:
        asking.heartbeat(ports, MAC, IPv4Address("10.9.0.71"), viewer="none")
    on = line.json("lab", "restart-terminals", "room", "--occupied", "spare")
    assert (on[0]["order"]["word"], on[1]["order"]) == ("restart", None)


def test_times_and_policies(line: Line) -> None:
    furnish(line)
    none = line.json("lab", "power", "room")
    assert (none["on"], none["off"], none["on_power_off"], none["seats"]) == (None, None, "stop", {})
    line.json("lab", "power", "room", "--on", "07:45", "--off", "18:00", "--days", "mon,wed", "--on-power-off", "keep")
    assert line.json("terminal", "power", "pc-07") == {"terminal": "pc-07", "on_power_off": "keep", "own": False}
    line.json("terminal", "power", "pc-07", "--on-power-off", "stop")
    told = line.json("lab", "power", "room", "--no-on")
    assert (told["on"], told["off"], told["days"], told["on_power_off"], told["seats"]) == (None, "18:00", "mon,wed", "keep", {"7": "stop"})
    assert line.json("terminal", "power", "pc-07", "--on-power-off", "lab")["own"] is False
    assert line.json("lab", "power", "room", "--on", "25:00", code=2)["error"]["field"] == "on"
    assert line.json("lab", "power", "room", "--days", "someday", code=2)["error"]["field"] == "days"
    assert line.json("lab", "power", "room", "--on", "07:45", "--no-on", code=2)["error"]["field"] == "on"
    assert "shut down at 18:00 (where somebody sits, told and given 600 s)" in line.run("lab", "power", "room").stdout


def test_hardware(line: Line) -> None:
    furnish(line)
    assert line.json("terminal", "show", "pc-07")["hardware"] is None
    with line.ports() as ports:
        said = Hardware(memory_mib=994, cpus=2, cpu="Atom\x1b", product="Wyse", screens=("1280x1024",), link_mbps=100)
        hardware.tell(ports, MAC, IPv4Address("10.9.0.71"), said)
    shown = line.json("terminal", "show", "pc-07")
    assert shown["hardware"]["memory_mib"] == 994
    assert [finding["code"] for finding in shown["findings"]] == ["terminal-memory", "terminal-link"]
    listed = line.json("lab", "hardware", "room")
    assert [(each["terminal"], each["hardware"] is None) for each in listed] == [("pc-07", False), ("pc-08", True)]
    table = line.run("lab", "hardware", "room").stdout
    assert "100 Mbit/s" in table
    assert "\x1b" not in table
