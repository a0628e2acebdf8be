# SPDX-License-Identifier: MIT
"""Labs."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from labvirt.database.mapping.row import Row, kept
from labvirt.domain.addresses import AddressPlan
from labvirt.domain.lab import DhcpMode, Lab, OnLeave


def lab_row(lab: Lab) -> Row:
    return {
        "name": lab.name,
        "block": lab.block,
        "network": str(lab.network.network),
        "max_instances": lab.max_instances,
        "start_instances": lab.start_instances,
        "on_leave": str(lab.on_leave),
        "leave_grace_seconds": lab.leave_grace_seconds,
        "domain": lab.domain,
        "mac_prefix": lab.mac_prefix,
        "note": lab.note,
    }


@kept
def lab_of(row: Row, dhcp: Iterable[Row] = ()) -> Lab:
    """`dhcp`: its row of lab_dhcp, if it has one."""
    return Lab(
        name=row["name"],
        block=row["block"],
        network=AddressPlan(IPv4Network(row["network"])),
        max_instances=row["max_instances"],
        start_instances=row["start_instances"],
        on_leave=OnLeave(row["on_leave"]),
        leave_grace_seconds=row["leave_grace_seconds"],
        domain=row["domain"],
        mac_prefix=row["mac_prefix"],
        note=row["note"],
        dhcp=next((DhcpMode(each["mode"]) for each in dhcp), DhcpMode.OWN),
    )
