# SPDX-License-Identifier: MIT
"""What all forms of settings share: only names that are names, and hosts in the order of their addresses. PURE."""

from __future__ import annotations

import re

from labvirt.contracts.dhcp import DhcpHost, DhcpLab
from labvirt.errors import InvalidInput

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.ASCII)
"""A host name's label, RFC 1123 2.1; the narrow form keeps commas, quotes and new lines out of the files."""


def checked(label: str, field: str) -> str:
    """The label itself. Raises InvalidInput."""
    if not _LABEL.match(label):
        raise InvalidInput(field, "is not a host name", hint="Use a-z, 0-9 and '-', at most 63 characters.")
    return label


def domain(lab: DhcpLab) -> str:
    return ".".join(checked(label, "domain") for label in lab.domain.split("."))


def hosts(lab: DhcpLab) -> list[DhcpHost]:
    """By address, whatever order they came in. Raises InvalidInput for a bad name."""
    for host in lab.hosts:
        checked(host.name, "name")
    return sorted(lab.hosts, key=lambda host: host.address)
