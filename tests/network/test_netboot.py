# SPDX-License-Identifier: MIT
"""What firmware hears from a real dnsmasq, and what it gets by TFTP through the filters: terminals and strangers, never guests."""

from __future__ import annotations

import dataclasses
import shutil
import struct
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from labvirt.contracts.dhcp import DhcpHost, DhcpLab, NetworkBoot
from labvirt.domain.addresses import MacAddress
from labvirt.domain.kiosk import LOADERS
from labvirt.errors import DhcpError
from labvirt.network.dhcp.driver import Dnsmasq
from tests.fakes import kiosk
from tests.network import wire
from tests.network.dhcp_client import Client
from tests.network.namespace import Namespace

pytestmark = pytest.mark.real

TERMINAL = DhcpHost(mac=MacAddress.parse("00:1a:2b:00:00:07"), address=IPv4Address("10.77.0.71"), name="lab-a-t07")
GUEST = DhcpHost(mac=wire.guest_port(7).mac, address=wire.guest_port(7).address, name="lab-a-07")
STRANGER = MacAddress.parse("00:de:ad:00:00:01")
HTTP = "http://10.77.0.1:8080/boot/shimx64.efi"


def lab(site: Path, version: str | None = "one") -> DhcpLab:
    network = wire.lab_a()
    boot = None
    if version is not None:
        made = kiosk.install(site / "kiosk", version)
        boot = NetworkBoot(controller="http://10.77.0.1:8080/", kiosk=made, folder=site / "kiosk" / version, guests=0x024C56)
    return DhcpLab(
        lab=network.lab,
        bridge=network.bridge,
        gateway=network.gateway,
        network=network.network,
        domain="labvirt.internal",
        hosts=(TERMINAL, GUEST),
        quarantine=network.quarantine,
        boot=boot,
    )


def option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value


def firmware(architecture: int, vendor: str = "PXEClient") -> bytes:
    """What the firmware of this architecture says (RFC 4578, 2; UEFI specification 2.10, 24.3)."""
    words = f"{vendor}:Arch:{architecture:05d}:UNDI:003016".encode()
    wishes = bytes([1, 3, 66, 67, 60])
    return option(93, struct.pack("!H", architecture)) + option(94, bytes([1, 3, 16])) + option(60, words) + option(55, wishes)


def test_each_firmware_hears_of_its_own_loader_and_guests_of_none(client: Client, state: Path) -> None:
    Dnsmasq(state / "networks").apply(lab(state))
    for mac in (TERMINAL.mac, STRANGER):
        assert client.offered(str(mac), firmware(0)).file == "core.0"
        assert client.offered(str(mac), firmware(7)).file == "shimx64.efi"
        assert client.offered(str(mac), firmware(9)).file == "shimx64.efi"
        by_http = client.offered(str(mac), firmware(16, "HTTPClient"))
        assert (by_http.file, by_http.options[60]) == (HTTP, b"HTTPClient")
        assert client.offered(str(mac), firmware(0)).server == IPv4Address("10.77.0.1")
        assert client.offered(str(mac), firmware(11)).file == ""  # 64-bit ARM: there is no kiosk for it
        assert client.offered(str(mac), b"").file == ""  # an operating system that asks
    for architecture in (0, 7, 16):
        offer = client.offered(str(GUEST.mac), firmware(architecture, "PXEClient" if architecture < 16 else "HTTPClient"))
        assert (offer.address, offer.file, offer.options.get(60)) == (GUEST.address, "", None)


def test_loaders_and_menu_come_by_tftp_to_a_stranger(outside: Namespace, client: Client, state: Path) -> None:
    dhcp = Dnsmasq(state / "networks")
    dhcp.apply(lab(state))
    address = client.boot(str(STRANGER), wire.lab_a().gateway)
    with outside.entered(), IPRoute() as route:
        index = route.link_lookup(ifname="eth0")[0]
        route.link("set", index=index, address=str(STRANGER))
        route.addr("add", index=index, address=str(address), prefixlen=24)
    for version in ("one", "two"):
        dhcp.apply(lab(state, version))
        for name in LOADERS:
            assert fetch(outside, name) == kiosk.contents(version)[name]
        menu = fetch(outside, "grub/grub.cfg")
        assert menu is not None
        assert kiosk.kiosk(version).image_sha256.encode() in menu
    for name in ("dnsmasq.conf", "../hosts", "/etc/passwd", "../../../labvirt.db"):
        assert fetch(outside, name) is None
    dhcp.apply(lab(state, None))
    assert fetch(outside, "core.0", tries=1) is None
    assert client.offered(str(STRANGER), firmware(0)).file == ""
    assert not (state / "networks" / "lab-a" / "tftp").exists()


def test_a_damaged_loader_is_refused_and_the_lab_keeps_what_it_had(client: Client, state: Path) -> None:
    dhcp = Dnsmasq(state / "networks")
    dhcp.apply(lab(state))
    wish = lab(state, "two")
    damaged = state / "kiosk" / "two" / "shimx64.efi"
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(DhcpError, match="is damaged"):
        dhcp.apply(wish)
    assert client.offered(str(TERMINAL.mac), firmware(0)).file == "core.0"
    assert dhcp.serving() == {"lab-a"}
    dhcp.apply(dataclasses.replace(wish, boot=lab(state).boot))


def fetch(outside: Namespace, name: str, tries: int = 5) -> bytes | None:
    """The file by busybox's TFTP; None when the server says no, or nothing."""
    busybox = shutil.which("busybox") or "/bin/busybox"
    argv = ["timeout", str(4 * tries), busybox, "tftp", "-g", "-r", name, "-l", "/dev/stdout", "-b", "1024", "10.77.0.1"]
    with outside.entered():
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    return done.stdout if done.returncode == 0 else None
