# SPDX-License-Identifier: MIT
"""The hosts of a lab as comma-separated values (RFC 4180), for a spreadsheet or any other server. PURE."""

from __future__ import annotations

from labvirt.contracts.dhcp import DhcpLab
from labvirt.network.dhcp import names


def render(lab: DhcpLab) -> str:
    """A head line, then one line for each host. No field needs quotes: names are host names. Raises InvalidInput for a bad one."""
    rows = [f"{host.mac},{host.address},{host.name},{'guest' if host.guest else 'terminal'}" for host in names.hosts(lab)]
    return "\n".join(["mac,address,name,kind", *rows, ""])
