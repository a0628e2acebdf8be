# SPDX-License-Identifier: MIT
"""Our own dnsmasq in a lab whose addresses the campus gives: names always; in PROXY mode firmware hears how to boot, and loaders are given
by TFTP in every mode. PURE, and without a path, as dnsmasq_conf.py."""

from __future__ import annotations

from labvirt.contracts.dhcp import DhcpLab
from labvirt.domain.lab import DhcpMode
from labvirt.network.dhcp import dnsmasq_boot, names
from labvirt.network.dhcp.netboot import TFTP_PORTS


def render_config(lab: DhcpLab, reverse_zone: str) -> str:
    """dnsmasq.conf of such a lab. Raises InvalidInput for a bad name."""
    domain = names.domain(lab)
    lines = [
        f"# Lab {names.checked(lab.lab, 'lab')}: written by LabVirt. Changes made here are overwritten.",
        "",
        "# Only on this lab's bridge, also when it comes later or again.",
        f"interface={lab.bridge}",
        "except-interface=lo",
        "bind-dynamic",
        "",
        "# Names of this lab only. Nothing is asked of other servers, nothing is read from this machine.",
        "no-resolv",
        "no-hosts",
        "domain-needed",
        f"local=/{domain}/",
        f"local=/{reverse_zone}/",
        f"domain={domain},{lab.network}",
        "",
        "# The campus gives the addresses.",
    ]
    if lab.boot is not None:
        if lab.mode is DhcpMode.PROXY:
            # Without no-ping dnsmasq wants a right that ours has not (server.py).
            lines += [
                "# We only tell firmware how to boot, beside it, and give no address that could be probed.",
                "no-ping",
                *dnsmasq_boot.beside(lab, lab.boot),
            ]
        lines += [
            "",
            "# Boot loaders, from ports that the filters know.",
            "enable-tftp",
            f"tftp-max={TFTP_PORTS[1] - TFTP_PORTS[0] + 1}",
            f"tftp-port-range={TFTP_PORTS[0]},{TFTP_PORTS[1]}",
        ]
    return "\n".join([*lines, "", "quiet-dhcp", ""])
