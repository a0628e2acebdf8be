# SPDX-License-Identifier: MIT
"""What DHCP really gave out, and who a source address therefore is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address

from labvirt.domain.addresses import MacAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One lease as the server wrote it. `expires` None means for ever."""

    lab: str
    mac: MacAddress
    address: IPv4Address
    name: str | None
    expires: datetime | None

    def valid(self, now: datetime) -> bool:
        return self.expires is None or self.expires > now


def owner(leases: Iterable[Lease], address: IPv4Address, now: datetime) -> MacAddress | None:
    """The MAC that holds `address` now; None when nobody does or when two claim it (then nobody is believed)."""
    macs = {lease.mac for lease in leases if lease.address == address and lease.valid(now)}
    return macs.pop() if len(macs) == 1 else None
