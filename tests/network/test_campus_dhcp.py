# SPDX-License-Identifier: MIT
"""Labs whose addresses a real Kea, ISC or dnsmasq of the campus gives: who gets which address, and who is told to boot what."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from labvirt.contracts.dhcp import DhcpForm, DhcpHost, DhcpLab, NetworkBoot
from labvirt.domain.addresses import MacAddress
from labvirt.domain.kiosk import LOADERS
from labvirt.domain.lab import DhcpMode
from labvirt.network.dhcp.driver import Dnsmasq
from labvirt.network.dhcp.forms import RenderedForms
from labvirt.network.dns.lookup import DnsLookup
from labvirt.network.driver import LinuxNetwork
from tests.fakes import kiosk
from tests.network import campus, firmware, frames, namespace, wire
from tests.network.campus import Campus
from tests.network.firmware import BIOS, MACHINES, SYSTEM, UEFI, UEFI_9, UEFI_HTTP, Desk, Guest
from tests.network.namespace import Namespace
from tests.network.test_netboot import fetch
from tests.network.wire import Card

pytestmark = pytest.mark.real

GATEWAY = IPv4Address("10.77.0.1")
TERMINAL = DhcpHost(mac=MacAddress.parse("00:1a:2b:00:00:07"), address=IPv4Address("10.77.0.71"), name="lab-a-t07")
GUEST = DhcpHost(mac=wire.guest_port(1).mac, address=wire.guest_port(1).address, name="lab-a-01", guest=True)
STRANGER = "00:de:ad:00:00:01"
URL = f"http://{GATEWAY}:8080/boot/shimx64.efi"
BOOT = NetworkBoot(controller=f"http://{GATEWAY}:8080/", kiosk=kiosk.kiosk(), folder=Path("/nowhere"), guests=0x024C56)
"""Of which only is told."""
TOLD = {BIOS: "core.0", UEFI: "shimx64.efi", UEFI_9: "shimx64.efi", UEFI_HTTP: URL, SYSTEM: ""}
WHOLE = (DhcpForm.KEA, DhcpForm.ISC, DhcpForm.DNSMASQ)


def lab(mode: DhcpMode, boot: NetworkBoot | None = BOOT) -> DhcpLab:
    network = wire.lab_a()
    return DhcpLab(
        lab=network.lab,
        bridge=network.bridge,
        gateway=network.gateway,
        network=network.network,
        domain="labvirt.internal",
        hosts=(TERMINAL, GUEST),
        quarantine=network.quarantine,
        boot=boot,
        mode=mode,
    )


def installed(site: Path) -> NetworkBoot:
    """The same, with its files in STATE/kiosk."""
    made = kiosk.install(site / "kiosk")
    return dataclasses.replace(BOOT, kiosk=made, folder=site / "kiosk" / "current")


@dataclasses.dataclass
class Room:
    """The lab's host is the test itself."""

    desk: Desk
    guest: Guest
    machine: Namespace
    """The desk's."""


@pytest.fixture
def room(own_network: Namespace) -> Iterator[Room]:
    yield from rooms(given_over=True)


def rooms(*, given_over: bool) -> Iterator[Room]:
    network = LinuxNetwork()
    servers = (IPv4Address("10.77.0.2"), IPv4Address("10.77.0.15"))
    network.ensure_lab(dataclasses.replace(wire.lab_a(), dhcp_servers=servers if given_over else None))
    port = wire.guest_port(1)
    network.plug(port)
    card = Card(str(port.tap), str(port.mac), port.address)
    there = Namespace()
    namespace.join(there, "lvb000", "term1")
    with there.entered():
        desk = Desk()
    try:
        yield Room(desk=desk, guest=Guest(card), machine=there)
    finally:
        desk.close()
        card.close()
        there.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[DhcpForm, DhcpLab], Campus]]:
    started: list[Campus] = []

    def start(form: DhcpForm, wanted: DhcpLab) -> Campus:
        number = len(started)
        settings = RenderedForms().render(form, wanted)
        started.append(Campus(form, settings, tmp_path / f"campus{number}", campus.ADDRESS + number))
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            each.close()


Serve = Callable[[DhcpForm, DhcpLab], Campus]


@pytest.mark.parametrize("form", WHOLE)
def test_the_campus_gives_each_its_address_and_tells_firmware_what_to_boot(room: Room, served: Serve, state: Path, form: DhcpForm) -> None:
    wanted = lab(DhcpMode.NONE, installed(state))
    Dnsmasq(state / "networks").apply(wanted)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("0.0.0.0", 67))  # ours does not listen there
    served(form, wanted)
    for machine in MACHINES.values():
        answer = firmware.boot(room.desk, str(TERMINAL.mac), machine, campus.ADDRESS)
        assert (answer.address, answer.lease_seconds, answer.file) == (TERMINAL.address, wanted.lease_seconds, TOLD[machine]), machine
        assert (answer.address_of(3), answer.address_of(6)) == (GATEWAY, GATEWAY)
        assert answer.options[15].rstrip(b"\0") == b"labvirt.internal"
        if machine in (BIOS, UEFI, UEFI_9):
            assert answer.next_server == GATEWAY
        if machine is UEFI_HTTP:
            assert answer.vendor == "HTTPClient"
    for number, machine in enumerate(MACHINES.values()):
        answer = firmware.boot(room.desk, f"{STRANGER[:-1]}{number + 1}", machine, campus.ADDRESS)
        assert wanted.quarantine[0] <= answer.address <= wanted.quarantine[1]
        assert (answer.lease_seconds, answer.file) == (wanted.quarantine_lease_seconds, TOLD[machine]), machine
    for machine in MACHINES.values():
        answer = firmware.boot(room.guest, str(GUEST.mac), machine, campus.ADDRESS)
        assert (answer.address, answer.file, answer.vendor) == (GUEST.address, "", ""), machine
    with room.machine.entered(), IPRoute() as route:
        route.addr("add", index=route.link_lookup(ifname="eth0")[0], address=str(wanted.quarantine[0]), prefixlen=24)
    for name in LOADERS:
        assert fetch(room.machine, name) == kiosk.contents()[name]
    assert fetch(room.machine, "/etc/passwd", tries=1) is None
    assert DnsLookup().resolve("lab-a-01.labvirt.internal", GATEWAY) == (GUEST.address,)
    assert Dnsmasq(state / "networks").leases("lab-a") == ()


@pytest.mark.parametrize("form", WHOLE)
def test_beside_a_server_of_the_campus_ours_tells_firmware_what_to_boot_and_nothing_else(
    room: Room, served: Serve, state: Path, form: DhcpForm
) -> None:
    wanted = lab(DhcpMode.PROXY, installed(state))
    ours = Dnsmasq(state / "networks")
    ours.apply(wanted)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, pytest.raises(OSError, match="in use"):
        taken.bind(("0.0.0.0", 67))
    served(form, dataclasses.replace(wanted, boot=None))
    low, high = wanted.quarantine
    for mac, (first, last) in ((str(TERMINAL.mac), (TERMINAL.address, TERMINAL.address)), (STRANGER, (low, high))):
        told_to_boot(room, mac, first, last, GATEWAY)
        assert first <= firmware.boot(room.desk, mac, SYSTEM, campus.ADDRESS).address <= last
    # Whoever has an address may ask on the other port: UEFI does, and BIOS may. Also a stranger, whom the filters keep from all else.
    for mac, own in ((str(TERMINAL.mac), TERMINAL.address), (STRANGER, wanted.quarantine[0])):
        with room.machine.entered(), IPRoute() as route:
            route.addr("add", index=route.link_lookup(ifname="eth0")[0], address=str(own), prefixlen=24)
        for machine in (BIOS, UEFI, UEFI_9):
            answer = firmware.boot_server(room.desk, mac, own, machine, GATEWAY)
            assert (answer.file, answer.next_server) == (TOLD[machine], GATEWAY)
        for name in LOADERS:
            assert fetch(room.machine, name) == kiosk.contents()[name]
        with room.machine.entered(), IPRoute() as route:
            route.flush_addr(index=route.link_lookup(ifname="eth0")[0])
    # A guest whose firmware asks as PXE does: the campus's address, and not a word of ours. Our server has read the guest's question when
    # it answers the one that a terminal asks after it.
    for machine in (BIOS, UEFI, UEFI_HTTP):
        heard = firmware.offers(room.guest, str(GUEST.mac), machine, lambda all: all[-1].server == campus.ADDRESS)
        firmware.offers(room.desk, str(TERMINAL.mac), machine, lambda all: all[-1].server == GATEWAY)
        while (message := room.guest.hear(0)) is not None:
            heard.append(firmware.parse(message))
        assert {each.server for each in heard if each.mac == str(GUEST.mac)} == {campus.ADDRESS}
        answer = firmware.boot(room.guest, str(GUEST.mac), machine, campus.ADDRESS)
        assert (answer.address, answer.file) == (GUEST.address, "")
    assert DnsLookup().resolve("lab-a-t07.labvirt.internal", GATEWAY) == (TERMINAL.address,)
    assert ours.leases("lab-a") == ()


def test_a_lab_is_given_over_and_taken_back(room: Room, served: Serve, state: Path) -> None:
    ours = Dnsmasq(state / "networks")
    everybody = ((room.desk, TERMINAL), (room.guest, GUEST))
    ours.apply(lab(DhcpMode.OWN, None))
    for line, host in everybody:
        assert firmware.boot(line, str(host.mac), SYSTEM, GATEWAY).address == host.address
    before = ours.leases("lab-a")
    assert {lease.address for lease in before} == {TERMINAL.address, GUEST.address}
    ours.apply(lab(DhcpMode.NONE, None))
    theirs = served(DhcpForm.KEA, lab(DhcpMode.NONE, None))
    for line, host in everybody:
        assert firmware.boot(line, str(host.mac), SYSTEM, campus.ADDRESS).address == host.address
    assert ours.leases("lab-a") == before  # which says nothing any more: engine/foreign.py
    theirs.stop()
    ours.apply(lab(DhcpMode.OWN, None))
    for line, host in everybody:
        assert firmware.boot(line, str(host.mac), SYSTEM, GATEWAY).address == host.address


def test_a_proxy_of_the_campus_is_as_good_as_ours(room: Room, served: Serve) -> None:
    """dnsmasq with the rendered proxy settings, beside Kea."""
    wanted = lab(DhcpMode.NONE)
    served(DhcpForm.KEA, dataclasses.replace(wanted, boot=None))
    proxy = served(DhcpForm.DNSMASQ_PROXY, wanted)
    told_to_boot(room, str(TERMINAL.mac), TERMINAL.address, TERMINAL.address, proxy.address)
    for machine in (BIOS, UEFI, UEFI_HTTP):
        answer = firmware.boot(room.guest, str(GUEST.mac), machine, campus.ADDRESS)
        assert (answer.address, answer.file) == (GUEST.address, "")


def told_to_boot(room: Room, mac: str, first: IPv4Address, last: IPv4Address, proxy: IPv4Address) -> None:
    """Each firmware is offered an address from `first` to `last` by the campus, without a file, and by `proxy` how to boot, without an
    address. UEFI that boots by TFTP is sent to the proxy's other port for the file."""
    for name, machine in MACHINES.items():
        if machine is SYSTEM:
            continue
        both = firmware.offers(room.desk, mac, machine, lambda all: {each.server for each in all} == {campus.ADDRESS, proxy})
        theirs, told = (next(each for each in both if each.server == server) for server in (campus.ADDRESS, proxy))
        assert theirs.file == ""
        assert first <= theirs.address <= last
        assert (told.address, told.vendor) == (IPv4Address("0.0.0.0"), machine.vendor)
        if machine in (BIOS, UEFI_HTTP):
            assert told.file == TOLD[machine], name
        if machine is BIOS:
            assert told.next_server == GATEWAY


@pytest.mark.parametrize(
    "given_over, last, heard",
    [(True, 2, True), (True, 15, True), (False, 2, False), (True, 70, False)],
    ids=["given over", "given over, the last address for servers", "own", "a terminal that plays server"],
)
def test_guests_hear_a_server_of_the_campus_only_from_where_the_lab_was_given_over(
    own_network: Namespace, tmp_path: Path, given_over: bool, last: int, heard: bool
) -> None:
    address = IPv4Address("10.77.0.0") + last
    with contextlib.contextmanager(rooms)(given_over=given_over) as room:
        theirs = Campus(DhcpForm.DNSMASQ, RenderedForms().render(DhcpForm.DNSMASQ, lab(DhcpMode.NONE)), tmp_path / "campus", address)
        try:
            assert firmware.boot(room.desk, str(TERMINAL.mac), SYSTEM, address).address == TERMINAL.address
            assert asked_as_guest(room, address) is heard
        finally:
            theirs.close()


def asked_as_guest(room: Room, server: IPv4Address) -> bool:
    """Does the guest hear this server? It has answered the guest when it answers what a terminal asks after it."""
    room.guest.send(str(GUEST.mac), frames.dhcp(1, str(GUEST.mac), firmware.DISCOVER, SYSTEM.options))
    firmware.offers(room.desk, str(TERMINAL.mac), SYSTEM, lambda all: all[-1].server == server)
    heard = []
    while (message := room.guest.hear(0.2)) is not None:
        heard.append(firmware.parse(message))
    return any((each.mac, each.kind) == (str(GUEST.mac), firmware.OFFER) for each in heard)
