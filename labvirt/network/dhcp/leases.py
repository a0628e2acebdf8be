# SPDX-License-Identifier: MIT
"""dnsmasq's lease file, read into values. PURE."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address

from labvirt.domain.addresses import MacAddress
from labvirt.domain.lease import Lease
from labvirt.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z", re.ASCII)
_EXPIRY = re.compile(r"[0-9]{1,12}\Z", re.ASCII)


def parse(text: str, lab: str) -> tuple[tuple[Lease, ...], int]:
    """The IPv4 leases, and how many lines could not be understood.

    A line is: expiry (seconds since 1970, 0: never), MAC, address, name or *, client id. The server writes its file in
    place, so a reader may meet half a line: such a line is counted, not believed.
    """
    leases, strange = [], 0
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] == "duid" or (len(words) > 2 and ":" in words[2]):
            continue  # nothing, or of DHCPv6
        lease = _lease(words, lab)
        if lease is None:
            strange += 1
        else:
            leases.append(lease)
    return tuple(leases), strange


def _lease(words: list[str], lab: str) -> Lease | None:
    if len(words) < 4 or not _EXPIRY.match(words[0]):
        return None
    try:
        expiry = int(words[0])
        return Lease(
            lab=lab,
            mac=MacAddress.parse(words[1]),
            address=IPv4Address(words[2]),
            name=words[3] if _NAME.match(words[3]) else None,
            expires=datetime.fromtimestamp(expiry, UTC) if expiry else None,
        )
    except (InvalidInput, AddressValueError, OverflowError, ValueError):
        return None
