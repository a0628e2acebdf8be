# SPDX-License-Identifier: MIT
"""Values as JSON: fields keep their names, addresses and times become text, sets become sorted lists. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePath
from typing import Any
from uuid import UUID

from labvirt.domain.addresses import AddressPlan, InterfaceName, MacAddress
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.lab import Lab
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import TerminalClass
from labvirt.usecases.classes import ClassView
from labvirt.usecases.images import ImageView
from labvirt.usecases.inspect import Explanation

_TEXT = (MacAddress, InterfaceName, RunId, IPv4Address, IPv4Network, PurePath, UUID, Enum, str)


def plain(value: Any) -> Any:
    """What json.dumps takes."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, AddressPlan):
        return str(value.network)
    if isinstance(value, _TEXT):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(each) for each in value)
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} has no shape")


def lab(each: Lab) -> dict[str, Any]:
    """With what follows from block and network."""
    told: dict[str, Any] = plain(each)
    return told | {
        "mac_prefix": f"{each.mac_prefix:06x}",
        "bridge": str(each.bridge),
        "gateway": str(each.network.gateway),
        "capacity": each.network.capacity,
    }


def terminal(each: Terminal) -> dict[str, Any]:
    told: dict[str, Any] = plain(each)
    return told | {"parameters": dict(each.parameters)}


def terminal_class(each: TerminalClass) -> dict[str, Any]:
    told: dict[str, Any] = plain(each)
    return told | {"defaults": dict(each.defaults)}


def class_view(each: ClassView) -> dict[str, Any]:
    """With who fills what, and who misses what."""
    return terminal_class(each.terminal_class) | {
        "parameters": list(each.terminal_class.variables),
        "filled_by_labvirt": list(each.by_labvirt),
        "filled_by_terminal": list(each.by_terminal),
        "required": list(each.terminal_class.required),
        "terminals": list(each.terminals),
        "missing": plain(each.missing),
    }


def guest(each: Guest) -> dict[str, Any]:
    told: dict[str, Any] = plain(each)
    return told | {"alive": each.alive, "ready": each.ready}


def image(each: ImageView) -> dict[str, Any]:
    told: dict[str, Any] = plain(each.image)
    return told | {"versions": plain(each.versions), "profiles": plain(each.profiles)}


def explanation(each: Explanation) -> dict[str, Any]:
    """The lab by its name and domain only: `lab show` tells the rest."""
    told: dict[str, Any] = plain(each)
    return told | {
        "lab": each.lab.name,
        "domain": each.lab.domain,
        "terminal": each.terminal.name if each.terminal else None,
        "guest": guest(each.guest) if each.guest else None,
        "profile": each.profile.name if each.profile else None,
        "host": each.host.name if each.host else None,
    }
