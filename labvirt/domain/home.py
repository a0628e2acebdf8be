# SPDX-License-Identifier: MIT
"""Where the work of whoever sits there is kept: a folder of a file server, told per seat, that the guest mounts as its home.

`nfs://SERVER/PATH` (NFS 4) or `smb://SERVER/SHARE/FOLDER` (SMB 3). Who may read it is the server's business; no address holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from labvirt.errors import InvalidInput

VARIABLES = ("LAB", "SEAT", "GUEST", "TERMINAL", "USER")
"""Filled when a guest starts: lab-a, 7, lab-a-07, the name of the seat's terminal, and the profile's account."""

OF_A_SEAT = frozenset({"SEAT", "GUEST", "TERMINAL"})
"""Who names one of these has a home of each seat; the others name one that many seats share."""

HOME_LENGTH = 200
LOGIN_BYTES = 4096
"""Of a file with the login of a share (mount.cifs(8), credentials): three short lines."""

_SERVER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z", re.ASCII)
_PART = re.compile(r"(?:[A-Za-z0-9_.-]|%[A-Z]+%)+\Z", re.ASCII)
_VARIABLE = re.compile(r"%([A-Z]+)%")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+\Z", re.ASCII)
_EXAMPLE = "Example: nfs://files.example.org/homes/%LAB%/%SEAT% or smb://files.example.org/homes/%LAB%/%SEAT%"


class Protocol(StrEnum):
    NFS = "nfs"
    SMB = "smb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """`parts` are the names between the slashes, at least one; variables stand in them and never in `server`."""

    protocol: Protocol
    server: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.protocol}://{self.server}/{'/'.join(self.parts)}"

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(name for part in self.parts for name in _VARIABLE.findall(part))

    @property
    def of_a_seat(self) -> bool:
        """Has each seat a home of its own?"""
        return bool(self.variables & OF_A_SEAT)

    def filled(self, values: Mapping[str, str]) -> Home | None:
        """With the variables replaced. None when one has no value here, or one that cannot be a name of a folder."""
        parts = []
        for part in self.parts:
            if not all(_PLAIN.match(values.get(name, "")) for name in _VARIABLE.findall(part)):
                return None
            parts.append(_VARIABLE.sub(lambda found: values[found[1]], part))
        if any(part in (".", "..") for part in parts):
            return None
        return Home(protocol=self.protocol, server=self.server, parts=tuple(parts))


def parse_home(text: str, field: str = "home") -> Home:
    """Raises InvalidInput that names `field` and what is wrong."""
    scheme, found, rest = text.partition("://")
    if not found or scheme not in tuple(Protocol):
        raise InvalidInput(field, "must begin with nfs:// or smb://", hint=_EXAMPLE)
    if len(text) > HOME_LENGTH:
        raise InvalidInput(field, f"must be at most {HOME_LENGTH} characters")
    server, _, path = rest.partition("/")
    if not _SERVER.match(server):
        raise InvalidInput(field, "the server must be a host name or an IPv4 address, without a user or a port", hint=_EXAMPLE)
    parts = tuple(path.split("/"))
    if not all(_PART.match(part) and part not in (".", "..") for part in parts):
        why = "each folder must be letters of ASCII, digits, '.', '_', '-' and variables, and not empty, '.' or '..'"
        raise InvalidInput(field, why, hint=_EXAMPLE)
    home = Home(protocol=Protocol(scheme), server=server, parts=parts)
    if unknown := sorted(home.variables - set(VARIABLES)):
        known = " ".join(f"%{name}%" for name in VARIABLES)
        raise InvalidInput(field, f"has the variable %{unknown[0]}%, which nobody fills", hint=f"Known: {known}")
    return home


def check_home(text: str, user: str | None) -> None:
    """The profile's field. Raises InvalidInput."""
    home = parse_home(text)
    if "USER" in home.variables and (user is None or not _PLAIN.match(user) or user in (".", "..")):
        raise InvalidInput("home", "%USER% needs the profile's user, of letters, digits, '.', '_' and '-'", hint="--user ACCOUNT")
