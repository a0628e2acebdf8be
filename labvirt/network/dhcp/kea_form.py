# SPDX-License-Identifier: MIT
"""Settings of a lab for Kea: kea-dhcp4.conf as plain JSON (Kea's manual, "The DHCPv4 Server"; 2.2 to 2.6). PURE."""

from __future__ import annotations

import json
from typing import Any

from labvirt.contracts.dhcp import DhcpLab, NetworkBoot
from labvirt.network.dhcp import names, netboot


def render(lab: DhcpLab) -> str:
    """A whole file; a server that has others takes its `client-classes` and `subnet4` over. Names of classes carry the lab's. Raises
    InvalidInput for a bad name."""
    name = names.checked(lab.lab, "lab")
    document = {
        "Dhcp4": {
            "user-context": {"comment": f"LabVirt's lab {name}. Written by: labvirt lab dhcp {name} --form kea"},
            "interfaces-config": {"interfaces": ["*"]},
            "client-classes": _classes(lab, name),
            "subnet4": [_subnet(lab, name)],
        }
    }
    return json.dumps(document, indent=2) + "\n"


def _classes(lab: DhcpLab, name: str) -> list[dict[str, Any]]:
    stranger = {
        "name": f"{name}-stranger",
        # Known only after the reservations were looked at, which is when a class that asks for it is tried.
        "test": "member('UNKNOWN')",
        "valid-lifetime": lab.quarantine_lease_seconds,
    }
    return [stranger, *(_boot_classes(lab, lab.boot, name) if lab.boot is not None else [])]


def _boot_classes(lab: DhcpLab, boot: NetworkBoot, name: str) -> list[dict[str, Any]]:
    octets = "".join(f"{octet:02x}" for octet in netboot.guest_octets(boot))
    guest = {"name": f"{name}-guest", "test": f"substring(pkt4.mac, 0, 3) == 0x{octets}"}
    found: list[dict[str, Any]] = [guest]
    for offer in netboot.offers(boot):
        # A client may name several architectures: the first is what it is.
        archs = " or ".join(f"substring(option[93].hex, 0, 2) == 0x{number:04x}" for number in offer.architectures)
        each: dict[str, Any] = {
            "name": f"{name}-{offer.name}",
            "test": f"not member('{name}-guest') and ({archs})",
            # Only in this lab's network, whatever else the server serves.
            "only-if-required": True,
            "boot-file-name": offer.file,
        }
        if offer.by_http:
            each["option-data"] = [{"name": "vendor-class-identifier", "data": netboot.HTTP_CLIENT, "always-send": True}]
        else:
            each["next-server"] = str(lab.gateway)
        found.append(each)
    return found


def _subnet(lab: DhcpLab, name: str) -> dict[str, Any]:
    first, last = lab.quarantine
    gateway = str(lab.gateway)
    subnet: dict[str, Any] = {
        "id": int(lab.network.network_address),  # any number that no other subnet has, and always the same
        "subnet": str(lab.network),
        "authoritative": True,
        # Firmware, the kiosk and an installed system name themselves differently: the MAC is who they are.
        "match-client-id": False,
        "valid-lifetime": lab.lease_seconds,
        "option-data": [
            {"name": "routers", "data": gateway},
            {"name": "domain-name-servers", "data": gateway},
            {"name": "domain-name", "data": names.domain(lab)},
        ],
        "pools": [{"pool": f"{first} - {last}", "client-class": f"{name}-stranger"}],
        "reservations": [
            {"hw-address": str(host.mac), "ip-address": str(host.address), "hostname": host.name} for host in names.hosts(lab)
        ],
    }
    if lab.boot is not None:
        subnet["require-client-classes"] = [f"{name}-{offer.name}" for offer in netboot.offers(lab.boot)]
    return subnet
