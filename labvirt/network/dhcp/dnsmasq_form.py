# SPDX-License-Identifier: MIT
"""Settings of a lab for a dnsmasq of the campus: one file for its /etc/dnsmasq.d, as a whole DHCP server or as one that only tells how to
boot. PURE."""

from __future__ import annotations

from labvirt.contracts.dhcp import DhcpLab
from labvirt.errors import InvalidInput
from labvirt.network.dhcp import dnsmasq_boot, names


def render(lab: DhcpLab) -> str:
    """Addresses, and how to boot. Every line is for this lab's network: files of several labs may lie side by side. Raises InvalidInput."""
    name, (first, last), mask = names.checked(lab.lab, "lab"), lab.quarantine, lab.network.netmask
    lines = [
        f"# LabVirt's lab {name}, {lab.network}. Written by: labvirt lab dhcp {name} --form dnsmasq",
        "# Goes into /etc/dnsmasq.d/. Your server's address there must be one that no other line names and that is not in the ranges.",
        "",
        "# Known hosts get their own address only; strangers a short lease in quarantine.",
        f"dhcp-range=set:{name},{lab.network.network_address},static,{mask},{lab.lease_seconds}",
        f"dhcp-range=set:{name},tag:!known,{first},{last},{mask},{lab.quarantine_lease_seconds}",
        f"dhcp-option=tag:{name},option:router,{lab.gateway}",
        f"dhcp-option=tag:{name},option:dns-server,{lab.gateway}",
        f"dhcp-option=tag:{name},option:domain-name,{names.domain(lab)}",
    ]
    if lab.boot is not None:
        prefix = f"{name}-"
        lines += [
            "",
            "# Terminals and strangers boot the kiosk; guests (their MACs begin alike) boot from their own disks.",
            *(_here(line, name) for line in [*dnsmasq_boot.firmware(lab.boot, prefix), *dnsmasq_boot.offered(lab, lab.boot, prefix)]),
        ]
    lines += ["", "# Guests of all seats, and adopted terminals."]
    lines += [f"dhcp-host={host.mac},{host.address},{host.name},{lab.lease_seconds}" for host in names.hosts(lab)]
    return "\n".join([*lines, ""])


def render_proxy(lab: DhcpLab) -> str:
    """How to boot, beside a server that gives the addresses; no DNS. Raises InvalidInput without a kiosk to boot, and for a bad name."""
    name = names.checked(lab.lab, "lab")
    if lab.boot is None:
        raise InvalidInput("form", "dnsmasq-proxy only says how to boot, and there is no kiosk to boot yet", hint="labvirt kiosk build")
    lines = [
        f"# LabVirt's lab {name}, {lab.network}. Written by: labvirt lab dhcp {name} --form dnsmasq-proxy",
        "# Goes into /etc/dnsmasq.d/ of a machine that stands in this network.",
        "",
        "# No DNS.",
        "port=0",
        "",
        *dnsmasq_boot.beside(lab, lab.boot),
    ]
    return "\n".join([*lines, ""])


def _here(line: str, lab: str) -> str:
    """What is told is told in this lab's network only; what is noticed may be noticed anywhere."""
    verb, _, rest = line.partition("=")
    return f"{verb}=tag:{lab},{rest}" if verb in ("dhcp-boot", "dhcp-option-force") else line
