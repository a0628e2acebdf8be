# SPDX-License-Identifier: MIT
"""The fixture lab of golden files and of the examples in dhcp/: lab-a with two seats."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from labvirt.contracts.dhcp import DhcpHost, DhcpLab, NetworkBoot
from labvirt.contracts.network import GuestPort, LabNetwork
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.lab import DISPLAY_PORT_BASE, Lab
from tests.fakes.kiosk import kiosk

LAB = Lab(name="lab-a", block=1, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=2)

NETWORK = LabNetwork(
    lab=LAB.name,
    bridge=LAB.bridge,
    gateway=LAB.network.gateway,
    network=LAB.network.network,
    quarantine=LAB.network.quarantine,
    controller_port=8080,
    display_ports=(DISPLAY_PORT_BASE, DISPLAY_PORT_BASE + 4095),
)


def port(seat: int) -> GuestPort:
    identity = LAB.identity(seat)
    return GuestPort(tap=identity.tap, bridge=LAB.bridge, mac=identity.mac, address=identity.address, owner_uid=0x20001000 + seat)


def terminal(seat: int) -> DhcpHost:
    return DhcpHost(
        mac=MacAddress(0x001A2B000000 + seat),
        address=LAB.network.terminal(seat),
        name=LAB.terminal_host_name(seat),
    )


def guest(seat: int) -> DhcpHost:
    identity = LAB.identity(seat)
    return DhcpHost(mac=identity.mac, address=identity.address, name=identity.guest, guest=True)


DHCP = DhcpLab(
    lab=LAB.name,
    bridge=LAB.bridge,
    gateway=LAB.network.gateway,
    network=LAB.network.network,
    domain=LAB.domain,
    hosts=(guest(1), terminal(1), guest(2), terminal(2)),
    quarantine=LAB.network.quarantine,
    boot=NetworkBoot(
        controller=f"http://{LAB.network.gateway}:8080/", kiosk=kiosk(), folder=Path("/var/lib/labvirt/kiosk/one"), guests=LAB.mac_prefix
    ),
)
