# SPDX-License-Identifier: MIT
"""Hosts."""

from __future__ import annotations

from labvirt.database.mapping.row import Row
from labvirt.domain.host import Host


def host_row(host: Host) -> Row:
    return {
        "name": host.name,
        "memory_reserve_mib": host.memory_reserve_mib,
        "disk_reserve_mib": host.disk_reserve_mib,
        "starts_at_once": host.starts_at_once,
        "max_guests": host.max_guests,
        "in_service": int(host.in_service),
        "note": host.note,
    }


def host_of(row: Row) -> Host:
    return Host(
        name=row["name"],
        memory_reserve_mib=row["memory_reserve_mib"],
        disk_reserve_mib=row["disk_reserve_mib"],
        starts_at_once=row["starts_at_once"],
        max_guests=row["max_guests"],
        in_service=bool(row["in_service"]),
        note=row["note"],
    )
