# SPDX-License-Identifier: MIT
"""Settings of a lab for the ISC DHCP server: dhcpd.conf(5), dhcp-eval(5). PURE."""

from __future__ import annotations

from labvirt.contracts.dhcp import DhcpLab, NetworkBoot
from labvirt.network.dhcp import names, netboot

ARCHITECTURE = "labvirt-architecture"
"""Option 93 under a name of ours: only newer servers have one for it, and it differs."""


def render(lab: DhcpLab) -> str:
    """A file to be included. What is not a host stands in its subnet; hosts are known everywhere, as this server has it. Raises
    InvalidInput for a bad name."""
    name, (first, last) = names.checked(lab.lab, "lab"), lab.quarantine
    lines = [
        f"# LabVirt's lab {name}, {lab.network}. Written by: labvirt lab dhcp {name} --form isc",
        "",
        *([f"option {ARCHITECTURE} code 93 = array of unsigned integer 16;", ""] if lab.boot is not None else []),
        f"subnet {lab.network.network_address} netmask {lab.network.netmask} {{",
        "    authoritative;",
        "    # Firmware, the kiosk and an installed system name themselves differently: the MAC is who they are.",
        "    ignore-client-uids true;",
        "    # Addresses are computed, each is one host's for ever: no need to probe, which costs a second.",
        "    ping-check false;",
        f"    default-lease-time {lab.lease_seconds};",
        f"    max-lease-time {lab.lease_seconds};",
        f"    option routers {lab.gateway};",
        f"    option domain-name-servers {lab.gateway};",
        f'    option domain-name "{names.domain(lab)}";',
        *(_boot(lab, lab.boot) if lab.boot is not None else []),
        "    # Strangers: a short lease in quarantine.",
        "    pool {",
        f"        range {first} {last};",
        "        deny known-clients;",
        f"        min-lease-time {lab.quarantine_lease_seconds};",
        f"        default-lease-time {lab.quarantine_lease_seconds};",
        f"        max-lease-time {lab.quarantine_lease_seconds};",
        "    }",
        "}",
        "",
        "# Guests of all seats, and adopted terminals.",
    ]
    for host in names.hosts(lab):
        lines.append(f'host {host.name} {{ hardware ethernet {host.mac}; fixed-address {host.address}; option host-name "{host.name}"; }}')
    return "\n".join([*lines, ""])


def _boot(lab: DhcpLab, boot: NetworkBoot) -> list[str]:
    octets = ":".join(f"{octet:02x}" for octet in netboot.guest_octets(boot))
    lines = [
        "    # Terminals and strangers boot the kiosk; guests (their MACs begin alike) boot from their own disks.",
        f"    if not (substring(hardware, 1, 3) = {octets}) {{",
    ]
    word = "if"
    for offer in netboot.offers(boot):
        archs = " or ".join(f"substring(option {ARCHITECTURE}, 0, 2) = 00:{number:02x}" for number in offer.architectures)
        lines.append(f"        {word} {archs} {{")
        if offer.by_http:
            lines.append(f'            option vendor-class-identifier "{netboot.HTTP_CLIENT}";')
        else:
            lines.append(f"            next-server {lab.gateway};")
        lines += [f'            filename "{offer.file}";', "        }"]
        word = "elsif"
    return [*lines, "    }"]
