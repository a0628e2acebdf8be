# SPDX-License-Identifier: MIT
"""Hosts: what each may bear, and whether it takes new guests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labvirt.domain.audit import changed
from labvirt.domain.host import Host
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import InvalidInput
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs

CHANGEABLE = frozenset({"memory_reserve_mib", "disk_reserve_mib", "starts_at_once", "max_guests", "in_service", "note"})

_BOUNDS = {
    "memory_reserve_mib": (0, 1 << 30),
    "disk_reserve_mib": (0, 1 << 30),
    "starts_at_once": (1, 64),
    "max_guests": (0, 4096),
}


@needs(Right.LOOK, anywhere=True)
def everything(ports: Ports) -> tuple[Host, ...]:
    with ports.database.read() as work:
        return work.hosts.list()


@needs(Right.LOOK, anywhere=True)
def one(ports: Ports, name: str) -> Host:
    """Raises NotFound."""
    with ports.database.read() as work:
        return work.hosts.one(name)


@needs(Right.SITE, site=True)
def change(ports: Ports, name: str, **changes: Any) -> Host:
    """The host with these fields of `CHANGEABLE` replaced. Running guests stay, whatever the new bounds are."""
    assert changes.keys() <= CHANGEABLE, changes
    for field, (lowest, highest) in _BOUNDS.items():
        value = changes.get(field)
        if value is not None and not lowest <= value <= highest:
            raise InvalidInput(field, f"must be {lowest} to {highest}")
    with ports.database.write() as work:
        if "note" in changes:
            changes["note"] = one_line(changes["note"])
        old = work.hosts.one(name)
        host = replace(old, **changes)
        work.hosts.update(host)
        before, after = changed(old, host)
        ports.note(
            work, name, f"host changed: {', '.join(sorted(changes)) or 'nothing'}", verb="change", noun="host", before=before, after=after
        )
        work.commit()
    ports.poke()
    return host
