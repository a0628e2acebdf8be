# SPDX-License-Identifier: MIT
"""A real dnsmasq on a real bridge: who gets which address, which name resolves, and what survives."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import dns.message
import dns.query
import dns.reversename
import pytest
from pyroute2 import IPRoute

from labvirt.contracts.dhcp import DhcpHost, DhcpLab
from labvirt.domain.addresses import MacAddress
from labvirt.errors import DhcpError, DnsError
from labvirt.network.dhcp import server
from labvirt.network.dhcp.driver import Dnsmasq
from labvirt.network.dns.lookup import DnsLookup
from labvirt.network.driver import LinuxNetwork
from labvirt.system import process
from tests.network import wire
from tests.network.dhcp_client import NAK, Client
from tests.network.namespace import Namespace

pytestmark = pytest.mark.real

KNOWN = DhcpHost(mac=MacAddress.parse("00:1a:2b:00:00:07"), address=IPv4Address("10.77.0.71"), name="lab-a-t07")
GUEST = DhcpHost(mac=wire.guest_port(7).mac, address=wire.guest_port(7).address, name="lab-a-07")
STRANGER = "00:de:ad:00:00:01"


def lab(*hosts: DhcpHost, block: int = 0) -> DhcpLab:
    network = wire.lab_a(block)
    return DhcpLab(
        lab=network.lab,
        bridge=network.bridge,
        gateway=network.gateway,
        network=network.network,
        domain="labvirt.internal",
        hosts=hosts,
        quarantine=network.quarantine,
    )


@pytest.fixture
def folder(state: Path) -> Path:
    return state / "networks"


def until(true: Callable[[], bool]) -> None:
    """For what the server does after a signal, which nobody is told of."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_real_client_gets_its_computed_address_before_and_after_a_reboot(outside: Namespace, folder: Path) -> None:
    dhcp = Dnsmasq(folder)
    dhcp.apply(lab(KNOWN, GUEST))
    assert dhcp.leases("lab-a") == ()
    with outside.entered(), IPRoute() as route:
        route.link("set", index=route.link_lookup(ifname="eth0")[0], address=str(KNOWN.mac))
    busybox = shutil.which("busybox") or "/bin/busybox"
    ask = [busybox, "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "10", "-T", "1", "-s", "/bin/true"]
    for _ in range(2):
        with outside.entered():
            said = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False)
        assert f"lease of {KNOWN.address} obtained" in said.stdout + said.stderr
    (lease,) = dhcp.leases("lab-a")
    assert (lease.mac, lease.address, lease.name) == (KNOWN.mac, KNOWN.address, KNOWN.name)


def test_a_stranger_gets_a_short_quarantine_lease_and_no_name(client: Client, folder: Path) -> None:
    dhcp, served = Dnsmasq(folder), lab(KNOWN)
    dhcp.apply(served)
    address = client.boot(STRANGER, served.gateway)
    assert served.quarantine[0] <= address <= served.quarantine[1]
    assert client.boot(str(KNOWN.mac), served.gateway) == KNOWN.address
    leases = {str(lease.mac): lease for lease in dhcp.leases("lab-a")}
    stranger, known = leases[STRANGER], leases[str(KNOWN.mac)]
    assert stranger.name is None
    assert stranger.expires is not None
    assert known.expires is not None
    assert (known.expires - stranger.expires).total_seconds() > served.lease_seconds - 2 * 120


def test_300_strangers_do_not_starve_known_hosts(client: Client, folder: Path) -> None:
    hosts = (DhcpHost(mac=MacAddress(0x001A2B000000 + n), address=IPv4Address("10.77.0.64") + n, name=f"t{n}") for n in range(1, 21))
    dhcp, served = Dnsmasq(folder), lab(*hosts)
    dhcp.apply(served)
    size = int(served.quarantine[1]) - int(served.quarantine[0]) + 1
    strangers = [f"00:de:ad:00:{n >> 8:02x}:{n & 255:02x}" for n in range(300)]
    for mac in strangers:
        client.discover(mac)
        client.request(mac, served.quarantine[0] + int(mac[-2:], 16) % size, served.gateway)
    for host in served.hosts:
        assert client.boot(str(host.mac), served.gateway) == host.address
    given = [lease.address for lease in dhcp.leases("lab-a")]
    assert len(given) == len(set(given))
    known = {host.address for host in served.hosts}
    assert known <= set(given)
    assert len(set(given) - known) == size  # the strangers really tried: their range is exhausted
    assert all(served.quarantine[0] <= address <= served.quarantine[1] for address in set(given) - known)


def test_a_deleted_host_is_not_served_any_more_and_an_added_one_is(client: Client, folder: Path) -> None:
    dhcp, served = Dnsmasq(folder), lab(KNOWN)
    dhcp.apply(served)
    assert client.boot(str(KNOWN.mac), served.gateway) == KNOWN.address
    (before,) = server.find(folder / "lab-a")
    dhcp.apply(lab(GUEST))
    until(lambda: DnsLookup().resolve("lab-a-07.labvirt.internal", served.gateway) == (GUEST.address,))
    client.request(str(KNOWN.mac), KNOWN.address)
    assert client.answers(lambda all: bool(all))[-1][:2] == (str(KNOWN.mac), NAK)
    address = client.boot(str(KNOWN.mac), served.gateway)
    assert served.quarantine[0] <= address <= served.quarantine[1]
    # Its name lived on with its lease, which ended with the refusal.
    assert DnsLookup().resolve("lab-a-t07.labvirt.internal", served.gateway) == ()
    assert client.boot(str(GUEST.mac), served.gateway) == GUEST.address
    assert server.find(folder / "lab-a") == (before,)


def test_a_host_may_change_its_name_and_two_may_change_places(client: Client, folder: Path) -> None:
    dhcp, gateway = Dnsmasq(folder), wire.lab_a().gateway
    dhcp.apply(lab(KNOWN, GUEST))
    assert client.boot(str(KNOWN.mac), gateway) == KNOWN.address
    turned = (dataclasses.replace(KNOWN, name="new-name"), GUEST)
    dhcp.apply(lab(*turned))
    until(lambda: DnsLookup().resolve("new-name.labvirt.internal", gateway) == (KNOWN.address,))
    assert client.boot(str(KNOWN.mac), gateway) == KNOWN.address
    dhcp.apply(lab(dataclasses.replace(KNOWN, mac=GUEST.mac), dataclasses.replace(GUEST, mac=KNOWN.mac)))
    until(lambda: DnsLookup().resolve("lab-a-t07.labvirt.internal", gateway) == (KNOWN.address,))
    assert client.boot(str(KNOWN.mac), gateway) == GUEST.address
    assert client.boot(str(GUEST.mac), gateway) == KNOWN.address


def test_names_resolve_before_any_lease_forwards_and_backwards_and_nothing_else_does(outside: Namespace, folder: Path) -> None:
    dhcp, gateway = Dnsmasq(folder), wire.lab_a().gateway
    dhcp.apply(lab(KNOWN, GUEST))
    look = DnsLookup()
    for host in (KNOWN, GUEST):
        assert look.resolve(f"{host.name}.labvirt.internal", gateway) == (host.address,)
        question = dns.message.make_query(dns.reversename.from_address(str(host.address)), "PTR")
        answer = dns.query.udp(question, str(gateway), timeout=5)
        assert f"{host.name}.labvirt.internal." in str(answer.answer[0])
    assert look.resolve("lab-a-08.labvirt.internal", gateway) == ()
    with pytest.raises(DnsError, match="REFUSED"):
        look.resolve("example.org", gateway)
    dhcp.stop("lab-a")
    with pytest.raises(DnsError, match="does not answer"):
        look.resolve("lab-a-07.labvirt.internal", gateway)


def test_a_killed_server_is_noticed_and_comes_back_with_its_leases(client: Client, folder: Path) -> None:
    dhcp, served = Dnsmasq(folder), lab(KNOWN)
    dhcp.apply(served)
    client.boot(str(KNOWN.mac), served.gateway)
    before = dhcp.leases("lab-a")
    (first,) = server.find(folder / "lab-a")
    os.kill(first.pid, signal.SIGKILL)
    assert process.wait_end(first, 10)
    assert dhcp.serving() == frozenset()
    dhcp.apply(served)
    assert dhcp.serving() == {"lab-a"}
    assert dhcp.leases("lab-a") == before
    client.request(str(KNOWN.mac), KNOWN.address)
    assert client.answers(lambda all: bool(all))[-1][2] == KNOWN.address


@pytest.mark.parametrize("forgot", [True, False])
def test_an_engine_that_starts_anew_adopts_the_server_and_starts_no_second_one(forgot: bool, outside: Namespace, folder: Path) -> None:
    Dnsmasq(folder).apply(lab(KNOWN))
    (first,) = server.find(folder / "lab-a")
    if forgot:  # killed between starting the server and noting it
        (folder / "lab-a" / "applied").unlink()
    anew = Dnsmasq(folder)
    assert anew.serving() == {"lab-a"}
    anew.apply(lab(KNOWN, GUEST))
    anew.apply(lab(KNOWN, GUEST))
    until(lambda: DnsLookup().resolve("lab-a-07", wire.lab_a().gateway) == (GUEST.address,))
    (running,) = server.find(folder / "lab-a")
    # What a server was told that nobody noted is not known, so it is started anew; it is never joined by a second one.
    assert (running == first) is not forgot


def test_two_engines_at_once_start_one_server(outside: Namespace, folder: Path) -> None:
    done: list[str] = []

    def apply() -> None:
        Dnsmasq(folder).apply(lab(KNOWN))
        done.append("well")

    threads = [threading.Thread(target=apply) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done == ["well"] * 6
    assert len(server.find(folder / "lab-a")) == 1


def test_a_recycled_pid_in_our_note_is_not_believed(outside: Namespace, folder: Path) -> None:
    dhcp = Dnsmasq(folder)
    dhcp.apply(lab(KNOWN))
    (first,) = server.find(folder / "lab-a")
    note = folder / "lab-a" / "applied"
    innocent = subprocess.Popen(["sleep", "1000"])
    try:
        note.write_text(note.read_text().replace(f'"pid": {first.pid}', f'"pid": {innocent.pid}'))
        dhcp.apply(lab(KNOWN))
        dhcp.stop("lab-a")
        assert innocent.poll() is None
        assert process.wait_end(first, 5)
    finally:
        innocent.kill()
        innocent.wait()


def test_two_labs_have_two_servers_and_one_that_stops_leaves_the_other(outside: Namespace, folder: Path) -> None:
    LinuxNetwork().ensure_lab(wire.lab_a(1))
    dhcp = Dnsmasq(folder)
    dhcp.apply(lab(KNOWN))
    dhcp.apply(lab(dataclasses.replace(GUEST, address=IPv4Address("10.77.1.130")), block=1))
    assert dhcp.serving() == {"lab-a", "lab-1"}
    assert DnsLookup().resolve("lab-a-07.labvirt.internal", IPv4Address("10.77.1.1")) == (IPv4Address("10.77.1.130"),)
    dhcp.stop("lab-a")
    assert dhcp.serving() == {"lab-1"}
    assert sorted(path.name for path in (folder / "lab-a").iterdir()) == ["leases", "lock"]
    dhcp.stop("lab-1")
    dhcp.stop("lab-1")
    dhcp.stop("never-seen")
    assert dhcp.serving() == frozenset()


def test_the_server_has_two_rights_an_own_user_and_sees_its_folder_only(outside: Namespace, folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o700)  # nobody else may go through
    dhcp = Dnsmasq(folder)
    dhcp.apply(lab(KNOWN))
    (running,) = server.find(folder / "lab-a")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{running.pid}/status").read_text().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 1 << 12 | 1 << 10
    assert status["NoNewPrivs"].strip() == "1"
    assert "0" not in status["Uid"].split()
    root = Path(f"/proc/{running.pid}/root")
    assert not (root / "etc").exists()
    assert not (root / "root").exists()
    dhcp.apply(lab(KNOWN, GUEST))  # it can read changes with the rights it has left
    until(lambda: DnsLookup().resolve("lab-a-07", wire.lab_a().gateway) == (GUEST.address,))


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(own_network: Namespace, folder: Path) -> None:
    dhcp = Dnsmasq(folder)
    LinuxNetwork().ensure_lab(wire.lab_a())
    bad = dataclasses.replace(lab(KNOWN), quarantine=(IPv4Address("10.99.0.1"), IPv4Address("10.99.1.9")))
    with pytest.raises(DhcpError, match="ended at once"):
        dhcp.apply(bad)
    assert server.find(folder / "lab-a") == ()
    assert dhcp.serving() == frozenset()
    dhcp.apply(lab(KNOWN))
    assert dhcp.serving() == {"lab-a"}
