# SPDX-License-Identifier: MIT
"""Values as JSON, the same from the command line and the API: fields keep their names, addresses and times become text, sets become sorted
lists. Pure."""

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
from labvirt.domain.boot import Part
from labvirt.domain.canary import Canary
from labvirt.domain.draft import Draft
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.job import Job
from labvirt.domain.lab import Lab
from labvirt.domain.person import ApiToken, Group, Person, SignIn, grant_text
from labvirt.domain.template import TemplateName
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import TerminalClass
from labvirt.usecases.boots import BootView, LabBoots
from labvirt.usecases.catalogue import ImageView, VersionView
from labvirt.usecases.classes import ClassView
from labvirt.usecases.hardware import HardwareView
from labvirt.usecases.inspect import Explanation
from labvirt.usecases.pools import PoolView
from labvirt.usecases.rescue import KeptView
from labvirt.usecases.seats import SeatRestart, SeatVersions
from labvirt.usecases.second_factor import SecondFactor
from labvirt.usecases.sessions import SessionView
from labvirt.usecases.settings import SettingsView

_TEXT = (MacAddress, InterfaceName, RunId, TemplateName, IPv4Address, IPv4Network, PurePath, UUID, Enum, str)


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


def guest_at_seat(each: Guest, seat: SeatVersions | None) -> dict[str, Any]:
    """With what its next start would take, if it lives at a seat."""
    return guest(each) | {"next": plain(seat.next) if seat else [], "is_old": seat.is_old if seat else False}


def canary(each: Canary) -> dict[str, Any]:
    told: dict[str, Any] = plain(each)
    return told | {"green": each.green, "why_red": each.why_red}


def version(each: VersionView) -> dict[str, Any]:
    """With what is known of its file, its users and its last trial."""
    told: dict[str, Any] = plain(each.version)
    return told | {
        "used_bytes": each.used_bytes,
        "depth": each.depth,
        "users": plain(each.users),
        "canary": canary(each.canary) if each.canary else None,
        "damage": each.damage,
    }


def draft(each: Draft) -> dict[str, Any]:
    told: dict[str, Any] = plain(each)
    return told | {"alive": each.alive}


def session(each: SessionView) -> dict[str, Any]:
    """The draft, with its guest's name, its screens, and whether somebody published since it began."""
    return draft(each.draft) | {
        "published": each.published,
        "overtaken": each.overtaken,
        "guest_state": str(each.guest.state) if each.guest else None,
        "idle_minutes": each.idle_minutes,
        "used_bytes": each.used_bytes,
        "vnc": plain(each.vnc),
        "spice": f"{each.spice[0]}:{each.spice[1]}" if each.spice else None,
    }


def kept(each: KeptView) -> dict[str, Any]:
    told: dict[str, Any] = plain(each.kept)
    return told | {"goes_at": plain(each.goes_at), "guest": each.guest}


def image(each: ImageView) -> dict[str, Any]:
    told: dict[str, Any] = plain(each.image)
    return told | {
        "versions": [version(detail) for detail in each.details],
        "profiles": plain(each.profiles),
        "drafts": [draft(one) for one in each.drafts],
        "used_bytes": each.used_bytes,
        "orphans": plain(each.orphans),
    }


def job(each: Job, now: datetime) -> dict[str, Any]:
    """With its pace: units per second and seconds left of the present step, null while nobody can say."""
    told: dict[str, Any] = plain(each)
    rate, left = (None, None) if each.ended else (each.rate(now), each.seconds_left(now))
    return told | {
        "ended": each.ended,
        "rate": round(rate, 3) if rate is not None else None,
        "seconds_left": round(left, 3) if left is not None else None,
    }


def seat_versions(each: SeatVersions) -> dict[str, Any]:
    told: dict[str, Any] = plain(each)
    return told | {"is_old": each.is_old}


def seat_restart(each: SeatRestart) -> dict[str, Any]:
    return {"guest": each.guest, "at": plain(each.at), "why": each.why, "versions": seat_versions(each.versions)}


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


def person(each: Person) -> dict[str, Any]:
    return {
        "name": each.name,
        "full_name": each.full_name,
        "active": each.active,
        "grants": [grant_text(grant) for grant in each.own],
        "groups": list(each.groups),
        "from_groups": [grant_text(grant) for grant in each.given],
        "password": each.has_password,
        "phone": each.totp,
        "made_at": plain(each.made_at),
    }


def sign_in(each: SignIn) -> dict[str, Any]:
    return {
        "id": each.id,
        "address": each.address,
        "agent": each.agent,
        "made_at": plain(each.made_at),
        "seen_at": plain(each.seen_at),
    }


def group(each: Group, members: tuple[str, ...]) -> dict[str, Any]:
    return {"name": each.name, "note": each.note, "grants": [grant_text(grant) for grant in each.grants], "members": list(members)}


def token(each: ApiToken) -> dict[str, Any]:
    """`rights` null: everything that the person may do."""
    return {
        "id": each.id,
        "person": each.person,
        "name": each.name,
        "rights": None if each.rights is None else sorted(str(right) for right in each.rights),
        "made_at": plain(each.made_at),
        "expires_at": plain(each.expires_at),
        "used_at": plain(each.used_at),
        "made_by": each.made_by,
    }


def pool_view(each: PoolView) -> dict[str, Any]:
    """As it is wanted, with what waits now; that is null while the engine does not answer."""
    now = each.now
    wanted: dict[str, Any] = plain(each.pool)
    return wanted | {
        "waiting": {str(kind): count for kind, count in now.waiting} if now else None,
        "served": dict(now.served) if now else None,
        "holds": now.holds if now else None,
        "last_refill_seconds": now.last_refill_seconds if now else None,
    }


def hardware(each: HardwareView) -> dict[str, Any]:
    """What a terminal said, flat, with what is to be thought of it; null for what it could not tell."""
    told: dict[str, Any] = {"terminal": each.terminal.name, "seat": each.terminal.seat, "mac": plain(each.terminal.mac)}
    report = each.report
    said = None
    if report is not None:
        said = plain(report.hardware) | {"at": plain(report.at), "since": plain(report.since)}
    told["hardware"] = said
    return told | {"findings": plain(each.findings)}


def boot(view: BootView) -> dict[str, Any]:
    """A boot in its parts, with the biggest."""
    if view.boot is None:
        return {"terminal": view.terminal, "boot": None}
    told: dict[str, Any] = plain(view.boot)
    told |= {"phases": dict(view.boot.phases), "own": dict(view.boot.own), "fetched_bytes": view.boot.fetched_bytes}
    biggest = view.line.biggest
    return {
        "terminal": view.terminal,
        "boot": told,
        "total_ms": view.line.total_ms,
        "biggest": biggest.name if biggest else None,
        "parts": [_part(part) for part in view.line.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    told: dict[str, Any] = plain(part)
    return told | {"ms": part.ms}


def lab_boots(each: LabBoots) -> dict[str, Any]:
    return {"lab": each.lab, "boots": each.boots, "parts": plain(each.summary), "last": [boot(view) for view in each.last]}


def settings(view: SettingsView) -> dict[str, Any]:
    """What counts at a level, and where each value comes from."""
    return {
        "level": str(view.level.scope),
        "subject": view.level.subject,
        "settings": [
            {
                "key": each.setting.key,
                "value": each.value,
                "from": str(each.scope) if each.scope else "default",
                "of": each.subject,
                "own": each.setting.key in view.own,
            }
            for each in view.effective
        ],
    }


def second_factor(seen: SecondFactor) -> dict[str, Any]:
    """Of whom it is asked, and who has none."""
    return {
        "demand": str(seen.demand),
        "administrators": list(seen.administrators),
        "others": list(seen.others),
        "lacking": list(seen.lacking),
    }
