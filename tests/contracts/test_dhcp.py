# SPDX-License-Identifier: MIT
"""What every DhcpServer and NameLookup promises: the fakes, and dnsmasq in a network namespace of its own.

What only real clients can show is in tests/network/test_dhcp_server.py.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.contracts.dhcp import DhcpHost, DhcpLab, DhcpServer, NameLookup
from labvirt.domain.addresses import MacAddress
from labvirt.errors import DnsError, InvalidInput
from labvirt.network.dhcp.driver import Dnsmasq
from labvirt.network.dhcp.fake import FakeDhcp, FakeLookup
from labvirt.network.dns.lookup import DnsLookup
from labvirt.network.driver import LinuxNetwork
from labvirt.system.clock import SystemClock
from tests.network import namespace
from tests.network.dhcp_client import Client
from tests.network.namespace import Namespace
from tests.network.wire import guest_port, lab_a

GATEWAY = lab_a().gateway
GUEST = DhcpHost(mac=guest_port(7).mac, address=guest_port(7).address, name="lab-a-07")
TERMINAL = DhcpHost(mac=MacAddress.parse("00:1a:2b:00:00:07"), address=IPv4Address("10.77.0.71"), name="lab-a-t07")
STRANGER = MacAddress.parse("00:de:ad:00:00:01")


def lab(*hosts: DhcpHost) -> DhcpLab:
    network = lab_a()
    return DhcpLab(
        lab=network.lab,
        bridge=network.bridge,
        gateway=network.gateway,
        network=network.network,
        domain="labvirt.internal",
        hosts=hosts,
        quarantine=network.quarantine,
    )


@dataclass
class Kind:
    make: Callable[[], DhcpServer]
    lookup: NameLookup
    boot: Callable[[MacAddress], IPv4Address]
    """A client with this MAC asks and gets this address."""


@pytest.fixture(params=["fake", pytest.param("dnsmasq", marks=pytest.mark.real)])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "fake":
        fake = FakeDhcp(tmp_path / "dhcp.json", SystemClock())

        def ask(mac: MacAddress) -> IPv4Address:
            lease = fake.ask("lab-a", mac)
            assert lease is not None
            return lease.address

        yield Kind(make=lambda: FakeDhcp(tmp_path / "dhcp.json", SystemClock()), lookup=FakeLookup(fake), boot=ask)
        return
    folder = tmp_path / f"lvt-{os.getpid()}" / "networks"
    host, there = Namespace(), Namespace()
    try:
        with host.entered():
            LinuxNetwork().ensure_lab(lab_a())
            namespace.join(there, "lvb000", "term1")
            with there.entered():
                client = Client()
            yield Kind(make=lambda: Dnsmasq(folder), lookup=DnsLookup(), boot=lambda mac: client.boot(str(mac), GATEWAY))
            client.close()
    finally:
        there.close()
        host.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nobody_is_served_at_first(kind: Kind) -> None:
    assert kind.make().serving() == frozenset()
    assert kind.make().leases("lab-a") == ()
    kind.make().stop("lab-a")
    with pytest.raises(DnsError):
        kind.lookup.resolve("lab-a-07", GATEWAY)


def test_a_lab_is_served_adopted_and_stopped(kind: Kind) -> None:
    kind.make().apply(lab(GUEST))
    kind.make().apply(lab(GUEST))
    assert kind.make().serving() == {"lab-a"}
    kind.make().stop("lab-a")
    assert kind.make().serving() == frozenset()
    kind.make().apply(lab(GUEST))
    assert kind.make().serving() == {"lab-a"}


def test_a_known_host_gets_its_address_and_name_and_a_stranger_quarantine(kind: Kind) -> None:
    dhcp, served = kind.make(), lab(GUEST, TERMINAL)
    dhcp.apply(served)
    assert kind.boot(TERMINAL.mac) == TERMINAL.address
    assert served.quarantine[0] <= kind.boot(STRANGER) <= served.quarantine[1]
    leases = {lease.mac: lease for lease in dhcp.leases("lab-a")}
    assert set(leases) == {TERMINAL.mac, STRANGER}
    assert (leases[TERMINAL.mac].lab, leases[TERMINAL.mac].name) == ("lab-a", "lab-a-t07")
    assert leases[STRANGER].name is None
    assert all(lease.valid(SystemClock().now()) for lease in leases.values())


def test_leases_survive_the_server(kind: Kind) -> None:
    kind.make().apply(lab(GUEST))
    kind.boot(GUEST.mac)
    before = kind.make().leases("lab-a")
    assert before
    kind.make().stop("lab-a")
    assert kind.make().leases("lab-a") == before
    kind.make().apply(lab(GUEST))
    assert kind.make().leases("lab-a") == before


def test_a_deleted_host_is_a_stranger(kind: Kind) -> None:
    dhcp = kind.make()
    dhcp.apply(lab(GUEST, TERMINAL))
    dhcp.apply(lab(GUEST))
    until(lambda: kind.lookup.resolve("lab-a-t07.labvirt.internal", GATEWAY) == ())
    first, last = lab().quarantine
    assert first <= kind.boot(TERMINAL.mac) <= last
    assert kind.boot(GUEST.mac) == GUEST.address


def test_names_resolve_before_any_lease(kind: Kind) -> None:
    kind.make().apply(lab(GUEST, TERMINAL))
    for name in ("lab-a-07.labvirt.internal", "LAB-A-07.labvirt.internal.", "lab-a-07"):
        assert kind.lookup.resolve(name, GATEWAY) == (GUEST.address,)
    assert kind.lookup.resolve("lab-a-08.labvirt.internal", GATEWAY) == ()


def test_names_that_are_more_than_names_are_refused(kind: Kind) -> None:
    dhcp = kind.make()
    with pytest.raises(InvalidInput):
        dhcp.apply(lab(dataclasses.replace(GUEST, name="x,set:evil")))
    with pytest.raises(InvalidInput):
        dhcp.leases("../../etc")
    assert dhcp.serving() == frozenset()
