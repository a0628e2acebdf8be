# SPDX-License-Identifier: MIT
"""The settings for DHCP servers of others, as the examples in dhcp/ show them; and the judgement of each server's own parser."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from labvirt.contracts.dhcp import DhcpForm, DhcpLab
from labvirt.domain.addresses import MacAddress
from labvirt.domain.lab import DhcpMode
from labvirt.errors import InvalidInput
from labvirt.network.dhcp import dnsmasq_conf
from labvirt.network.dhcp.forms import RenderedForms
from tests.unit.network import example

EXAMPLES = Path(__file__).parents[3] / "dhcp" / "foreign"
FILES = {
    DhcpForm.KEA: "kea-dhcp4.conf",
    DhcpForm.ISC: "isc-dhcpd.conf",
    DhcpForm.DNSMASQ: "dnsmasq.conf",
    DhcpForm.DNSMASQ_PROXY: "dnsmasq-proxy.conf",
    DhcpForm.CSV: "hosts.csv",
}
BOOTING = example.DHCP
WITHOUT = dataclasses.replace(example.DHCP, boot=None)
PROXY = dataclasses.replace(BOOTING, mode=DhcpMode.PROXY)
NONE = dataclasses.replace(BOOTING, mode=DhcpMode.NONE)
PATH = "/usr/sbin:/sbin:/usr/bin"
PROGRAMS = {"dnsmasq": ("dnsmasq", "--test", "-C"), "kea": ("kea-dhcp4", "-t"), "isc": ("dhcpd", "-4", "-t", "-cf")}
PACKAGES = {"dnsmasq": "dnsmasq-base", "kea": "kea-dhcp4-server", "isc": "isc-dhcp-server"}


def render(form: DhcpForm, lab: DhcpLab = BOOTING) -> str:
    return RenderedForms().render(form, lab)


@pytest.fixture
def judge(tmp_path: Path) -> Callable[[str, str], str]:
    """What the program says against this text; empty when it takes it."""

    def judged(form: str, text: str) -> str:
        program, *words = PROGRAMS[form]
        found = shutil.which(program, path=PATH)
        if found is None:
            pytest.skip(f"{program} is not installed: apt-get install {PACKAGES[form]}")
        # A copy: a profile of AppArmor, which belongs to the path, would keep it from our file.
        ours = Path(shutil.copy(found, tmp_path))
        file = tmp_path / "conf"
        file.write_text(text)
        done = subprocess.run([str(ours), *words, str(file)], capture_output=True, text=True, check=False, timeout=60)
        return "" if done.returncode == 0 else done.stdout + done.stderr or "refused"

    return judged


@pytest.mark.parametrize("form", DhcpForm)
def test_the_example_in_dhcp_is_what_the_renderer_makes(form: DhcpForm, golden: Callable[[Path, str], None]) -> None:
    golden(EXAMPLES / FILES[form], render(form))


@pytest.mark.parametrize("boot", [True, False], ids=["kiosk", "no kiosk"])
@pytest.mark.parametrize(
    "form, program, broken",
    [
        (DhcpForm.DNSMASQ, "dnsmasq", ("static", "statical,,x")),
        (DhcpForm.DNSMASQ_PROXY, "dnsmasq", (",proxy,", ",proxi,")),
        (DhcpForm.KEA, "kea", ('"pools"', '"pulls"')),
        (DhcpForm.ISC, "isc", ("range ", "rage ")),
    ],
)
def test_the_server_itself_takes_it_and_refuses_a_broken_one(
    form: DhcpForm, program: str, broken: tuple[str, str], boot: bool, judge: Callable[[str, str], str]
) -> None:
    if not boot and form is DhcpForm.DNSMASQ_PROXY:
        with pytest.raises(InvalidInput, match="no kiosk"):
            render(form, WITHOUT)
        return
    text = render(form, BOOTING if boot else WITHOUT)
    assert judge(program, text) == ""
    damaged = text.replace(*broken, 1)
    assert damaged != text
    assert judge(program, damaged) != ""


@pytest.mark.parametrize("lab", [PROXY, NONE, dataclasses.replace(PROXY, boot=None)], ids=["proxy", "none", "no kiosk"])
def test_our_own_server_takes_what_it_is_given_when_the_campus_gives_the_addresses(lab: DhcpLab, judge: Callable[[str, str], str]) -> None:
    text = dnsmasq_conf.render_config(lab)
    assert judge("dnsmasq", text) == ""
    assert judge("dnsmasq", text + "dhcp-range=this,is,no,range\n") != ""
    assert ("dhcp-range=" in text) is (lab is PROXY)
    assert "dhcp-authoritative" not in text
    assert "dhcp-authoritative" in dnsmasq_conf.render_config(BOOTING)
    assert "local=/labvirt.internal/" in text
    assert ("enable-tftp" in text) is (lab.boot is not None)


@pytest.mark.parametrize("form", DhcpForm)
@pytest.mark.parametrize("name", ["a b", "a,b", "a\nb", "", "-a", "A", 'a"b', "a;b", "a{b", "=1+1"])
def test_a_name_that_is_more_than_a_name_gets_into_no_form(form: DhcpForm, name: str) -> None:
    assert render(form)
    if form is not DhcpForm.DNSMASQ_PROXY:  # which names no host
        with pytest.raises(InvalidInput):
            render(form, dataclasses.replace(BOOTING, hosts=(dataclasses.replace(example.guest(1), name=name),)))
    if form is not DhcpForm.CSV:  # which names no lab
        with pytest.raises(InvalidInput):
            render(form, dataclasses.replace(BOOTING, lab=name))


@pytest.mark.parametrize("form", DhcpForm)
def test_hosts_are_in_the_order_of_their_addresses_whatever_order_they_come_in(form: DhcpForm) -> None:
    assert render(form, dataclasses.replace(BOOTING, hosts=BOOTING.hosts[::-1])) == render(form)


def test_all_hosts_are_in_kea_and_in_the_list() -> None:
    subnet = json.loads(render(DhcpForm.KEA))["Dhcp4"]["subnet4"][0]
    reserved = {(each["hw-address"], each["ip-address"], each["hostname"]) for each in subnet["reservations"]}
    hosts = {(str(host.mac), str(host.address), host.name) for host in BOOTING.hosts}
    assert reserved == hosts
    rows = [tuple(line.split(",")) for line in render(DhcpForm.CSV).splitlines()]
    assert rows[0] == ("mac", "address", "name", "kind")
    assert {row[:3] for row in rows[1:]} == hosts
    assert {row[2]: row[3] for row in rows[1:]} == {
        "lab-a-01": "guest",
        "lab-a-02": "guest",
        "lab-a-t01": "terminal",
        "lab-a-t02": "terminal",
    }


@pytest.mark.parametrize("form, program", [(DhcpForm.DNSMASQ, "dnsmasq"), (DhcpForm.ISC, "isc")])
def test_settings_of_two_labs_live_in_one_server(form: DhcpForm, program: str, judge: Callable[[str, str], str]) -> None:
    host = dataclasses.replace(example.guest(1), mac=MacAddress(0x024C56002001), address=IPv4Address("10.78.0.129"), name="lab-b-01")
    other = dataclasses.replace(
        BOOTING,
        lab="lab-b",
        network=IPv4Network("10.78.0.0/24"),
        gateway=IPv4Address("10.78.0.1"),
        quarantine=(IPv4Address("10.78.0.16"), IPv4Address("10.78.0.63")),
        hosts=(host,),
    )
    assert judge(program, render(form) + render(form, other)) == ""
