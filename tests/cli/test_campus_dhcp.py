# SPDX-License-Identifier: MIT
"""labvirt lab dhcp, and the labs whose addresses the campus gives."""

from __future__ import annotations

import json

import pytest

from labvirt.contracts.dhcp import DhcpForm
from tests.cli.conftest import Line
from tests.cli.test_kiosk import make

MAC, ADDRESS, GUEST = "00:1a:2b:00:00:07", "10.77.0.71", "10.77.0.129"


@pytest.fixture
def line(bare: Line) -> Line:
    """A lab with one terminal."""
    bare.json("init", "--hypervisor", "fake")
    bare.json("lab", "add", "room", "--network", "10.77.0.0/24", "--max-instances", "3")
    bare.json("terminal", "add", "pc-07", "--lab", "room", "--seat", "7", "--mac", MAC)
    return bare


def build_kiosk(line: Line) -> None:
    site = line.state / "kiosk"
    site.mkdir(exist_ok=True)
    make(site / "v1", "v1")
    (site / "current").symlink_to("v1")


def test_the_mode_is_shown_and_changed_and_own_at_first(line: Line) -> None:
    assert line.json("lab", "show", "room")["dhcp"] == "own"
    for mode in ("proxy", "none", "own"):
        assert line.json("lab", "set", "room", "--dhcp", mode)["dhcp"] == mode
        assert line.json("lab", "show", "room")["dhcp"] == mode
        assert f"DHCP: {mode}, " in line.run("lab", "show", "room").stdout
        assert line.json("lab", "set", "room", "--note", mode)["dhcp"] == mode
    assert line.json("lab", "add", "next", "--network", "10.78.0.0/24", "--dhcp", "none")["dhcp"] == "none"
    refused = line.json("lab", "set", "room", "--dhcp", "campus", code=2)
    assert refused["error"]["field"] == "dhcp"
    small = line.json("lab", "add", "tiny-room", "--network", "10.79.0.0/26", "--dhcp", "proxy", code=2)
    assert small["error"]["field"] == "dhcp"
    assert "no address left" in small["error"]["sentence"]
    assert line.json("lab", "add", "tiny-room", "--network", "10.79.0.0/26")["dhcp"] == "own"


@pytest.mark.parametrize("form", DhcpForm)
def test_settings_are_on_stdout_and_what_to_know_on_stderr(line: Line, form: DhcpForm) -> None:
    build_kiosk(line)
    line.json("lab", "set", "room", "--dhcp", "none")
    result = line.run("lab", "dhcp", "room", "--form", str(form))
    assert result.exit_code == 0, result.stderr
    told = line.json("lab", "dhcp", "room", "--form", str(form))
    assert result.stdout == told["text"]
    assert result.stderr.splitlines() == [f"labvirt: {remark}" for remark in told["remarks"]]
    assert "10.77.0.2 to 10.77.0.15" in result.stderr
    if form is not DhcpForm.DNSMASQ_PROXY:
        assert {MAC, ADDRESS, GUEST} <= set(told["text"].replace('"', " ").replace(";", " ").replace(",", " ").replace("=", " ").split())
    if form is not DhcpForm.CSV:
        assert "core.0" in told["text"]
        assert "http://10.77.0.1:8080/boot/shimx64.efi" in told["text"]
    if form is DhcpForm.KEA:
        assert json.loads(result.stdout)["Dhcp4"]


def test_how_to_boot_is_told_once(line: Line) -> None:
    """By the server with the rendered settings, or by ours beside it."""

    def kea() -> tuple[str, str]:
        told = line.json("lab", "dhcp", "room", "--form", "kea")
        return told["text"], " ".join(told["remarks"])

    text, remarks = kea()
    assert "core.0" not in text
    assert "there is no kiosk yet" in remarks
    assert "still served by this controller" in remarks
    refused = line.json("lab", "dhcp", "room", "--form", "dnsmasq-proxy", code=2)
    assert refused["error"]["hint"] == "labvirt kiosk build"
    build_kiosk(line)
    assert "core.0" in kea()[0]
    line.json("lab", "set", "room", "--dhcp", "proxy")
    text, remarks = kea()
    assert "core.0" not in text
    assert MAC in text
    assert "this controller tells that" in remarks
    assert "core.0" in line.json("lab", "dhcp", "room", "--form", "dnsmasq-proxy")["text"]
    line.json("lab", "set", "room", "--dhcp", "none")
    text, remarks = kea()
    assert "core.0" in text
    assert "still served" not in remarks


def test_an_unknown_lab_and_form_are_refused_and_nothing_is_written(line: Line) -> None:
    before = line.history()
    assert line.json("lab", "dhcp", "nowhere", "--form", "csv", code=1)["error"]["code"] == "not-found"
    assert line.json("lab", "dhcp", "room", "--form", "bind", code=2)["error"]["field"] == "form"
    assert line.json("lab", "dhcp", "room", "--form", "csv")["text"].startswith("mac,address,name,kind\n")
    assert line.history() == before
