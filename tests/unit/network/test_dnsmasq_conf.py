# SPDX-License-Identifier: MIT
"""What dnsmasq is given, as the examples in dhcp/ show it; and dnsmasq's own judgement of it."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from labvirt.errors import InvalidInput
from labvirt.network.dhcp import dnsmasq_conf, server
from tests.unit.network import example

EXAMPLES = Path(__file__).parents[3] / "dhcp" / "dnsmasq"
RENDERED = {
    server.CONFIG: dnsmasq_conf.render_config(example.DHCP),
    server.HOSTS: dnsmasq_conf.render_hosts(example.DHCP),
    server.NAMES: dnsmasq_conf.render_names(example.DHCP),
}
PATH = "/usr/sbin:/sbin:/usr/bin"


@pytest.mark.parametrize("name", RENDERED)
def test_the_example_in_dhcp_is_what_the_renderer_makes(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(EXAMPLES / name, RENDERED[name])


@pytest.mark.skipif(not shutil.which("dnsmasq", path=PATH), reason="dnsmasq is not installed: apt-get install dnsmasq-base")
def test_dnsmasq_itself_takes_it_and_refuses_a_broken_one(tmp_path: Path) -> None:
    def judge(text: str) -> int:
        file = tmp_path / "conf"
        file.write_text(text)
        argv = [str(shutil.which("dnsmasq", path=PATH)), "--test", "-C", str(file)]
        return subprocess.run(argv, capture_output=True, check=False).returncode

    assert judge(RENDERED[server.CONFIG]) == 0
    assert judge(RENDERED[server.CONFIG] + "dhcp-range=this,is,no,range\n") != 0


@pytest.mark.parametrize("name", ["a b", "a,b", "a\nb", "", "-a", "A", "a" * 64, "a.b", "ä", "a#b"])
def test_a_name_that_is_more_than_a_name_gets_into_no_file(name: str) -> None:
    bad = dataclasses.replace(example.DHCP, hosts=(dataclasses.replace(example.guest(1), name=name),))
    for render in (dnsmasq_conf.render_hosts, dnsmasq_conf.render_names):
        with pytest.raises(InvalidInput):
            render(bad)
    with pytest.raises(InvalidInput):
        dnsmasq_conf.render_config(dataclasses.replace(example.DHCP, lab=name))
    if name != "a.b":  # dots are fine there
        with pytest.raises(InvalidInput):
            dnsmasq_conf.render_config(dataclasses.replace(example.DHCP, domain=name))


def test_hosts_are_in_the_order_of_their_addresses_whatever_order_they_come_in() -> None:
    turned = dataclasses.replace(example.DHCP, hosts=example.DHCP.hosts[::-1])
    assert dnsmasq_conf.render_hosts(turned) == RENDERED[server.HOSTS]
    assert dnsmasq_conf.render_names(turned) == RENDERED[server.NAMES]


@pytest.mark.parametrize(
    "network, zone",
    [
        ("10.77.0.0/24", "0.77.10.in-addr.arpa"),
        ("10.77.4.0/22", "77.10.in-addr.arpa"),
        ("192.168.9.64/26", "9.168.192.in-addr.arpa"),
    ],
)
def test_the_reverse_zone_holds_the_whole_network(network: str, zone: str) -> None:
    lab = dataclasses.replace(example.DHCP, network=IPv4Network(network), gateway=IPv4Network(network)[1])
    assert f"local=/{zone}/\n" in dnsmasq_conf.render_config(lab)


def test_as_root_the_server_sees_its_folder_only_and_keeps_two_rights() -> None:
    folder = Path("/srv/lab state/networks/lab-a")
    argv = server.command(folder, (999, 65534))
    assert argv[0] == "bwrap"
    rights = "-all,+net_admin,+net_bind_service"
    assert {"--reuid=999", "--regid=65534", "--clear-groups", "--no-new-privs", f"--bounding-set={rights}"} <= set(argv)
    plain = server.command(folder, None)
    assert argv[-len(plain) :] == plain
    assert f"--conf-file={folder}/dnsmasq.conf" in plain
    assert argv[argv.index("--bind") + 1] == f"{folder}/leases"
    assert argv.count("--bind") == 1


def test_an_address_of_the_quarantine_is_never_in_the_hosts() -> None:
    first, last = example.DHCP.quarantine
    assert first == IPv4Address("10.77.0.16")
    assert not any(first <= host.address <= last for host in example.DHCP.hosts)
