# SPDX-License-Identifier: MIT
"""The form of a profile: its fields in words, and a form that was sent, as values. Pure; what is allowed the profile itself decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from labvirt.domain.profile import (
    Bus,
    Clock,
    Firmware,
    Machine,
    Mode,
    Nic,
    Profile,
    Protocol,
    SessionPolicy,
    Slot,
    SlotKind,
    Sound,
    Video,
)
from labvirt.errors import InvalidInput
from labvirt.web.ui.language import marked

NO_PROFILE = Profile(name="new", memory_mib=2048, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="none"),))
"""Where the defaults come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`kind`: text, number, choice, switch, lines. `empty`: nothing may be said, and means None."""

    name: str
    label: str
    kind: str
    hint: str = ""
    choices: tuple[str, ...] = ()
    empty: bool = False


def _choice(name: str, label: str, of: type[StrEnum], hint: str = "") -> Field:
    return Field(name=name, label=label, kind="choice", choices=tuple(of), hint=hint)


GROUPS: tuple[tuple[str, tuple[Field, ...]], ...] = (
    (
        marked("Machine"),
        (
            Field(name="memory_mib", label=marked("Memory in MiB"), kind="number"),
            Field(name="cpus", label=marked("Processors"), kind="number"),
            _choice("firmware", marked("Firmware"), Firmware),
            _choice("machine", marked("Machine type"), Machine),
            _choice("clock", marked("Hardware clock"), Clock, marked("Windows wants localtime.")),
            _choice("nic", marked("Network card"), Nic),
            _choice("sound", marked("Sound"), Sound),
            _choice("video", marked("Graphics card"), Video),
            Field(name="hyperv", label=marked("Hyper-V enlightenments"), kind="switch", hint=marked("Windows runs smoother.")),
            Field(
                name="instant_clone",
                label=marked("Instant clones"),
                kind="switch",
                hint=marked("One guest is booted and frozen; the others begin there, in a blink, and share its memory until they write."),
            ),
            Field(name="tpm", label=marked("A TPM 2.0 of its own"), kind="switch", hint=marked("Windows 11; needs the firmware uefi.")),
        ),
    ),
    (
        marked("Who gets it"),
        (
            _choice("protocol", marked("How terminals see it"), Protocol),
            Field(
                name="user", label=marked("Account for RDP"), kind="text", empty=True, hint=marked("Its password is set for each login.")
            ),
            Field(name="labs", label=marked("Only for these labs"), kind="labs", hint=marked("None: for every lab.")),
            Field(name="position", label=marked("Position"), kind="number", hint=marked("The lowest that can be started is taken.")),
            Field(name="max_guests", label=marked("Never more of them at once"), kind="number", empty=True),
            Field(name="start_guests", label=marked("So many start with the host"), kind="number"),
            Field(name="active", label=marked("Active"), kind="switch", hint=marked("Otherwise nobody gets it.")),
        ),
    ),
    (
        marked("What is written"),
        (
            _choice("mode", marked("Mode"), Mode, marked("administrative: it may be changed in admin sessions.")),
            Field(
                name="home",
                label=marked("Home"),
                kind="text",
                empty=True,
                hint=marked("A folder of a file server per seat: smb://files/homes/%%SEAT%% or nfs://…"),
            ),
            Field(name="overlay_cap_mib", label=marked("It may write so many MiB"), kind="number", empty=True),
            Field(name="restart_days", label=marked("A fresh run after so many days"), kind="number", empty=True),
            _choice("session_policy", marked("An update does this with clients"), SessionPolicy),
            Field(name="drain_seconds", label=marked("Clients are warned for so many seconds"), kind="number"),
            Field(name="ready_port", label=marked("Ready when this TCP port answers"), kind="number", empty=True),
            Field(name="extra", label=marked("More QEMU arguments"), kind="lines", hint=marked("One per line, OPTION=VALUE.")),
            Field(name="note", label=marked("Note"), kind="text"),
        ),
    ),
)
FIELDS = tuple(field for _, fields in GROUPS for field in fields)
_ENUMS: Mapping[str, type[StrEnum]] = {
    "firmware": Firmware,
    "machine": Machine,
    "clock": Clock,
    "nic": Nic,
    "sound": Sound,
    "video": Video,
    "protocol": Protocol,
    "mode": Mode,
    "session_policy": SessionPolicy,
}
MOST_SLOTS = 12


def shown(profile: Profile) -> dict[str, Any]:
    """What stands in the form for this profile."""
    values: dict[str, Any] = {}
    for field in FIELDS:
        value = getattr(profile, field.name)
        values[field.name] = (
            "\n".join(value)
            if field.kind == "lines"
            else sorted(value)
            if field.kind == "labs"
            else value
            if field.kind == "switch"
            else ""
            if value is None
            else str(value)
        )
    values["slots"] = [(slot.image or str(slot.kind), slot.version or "", str(slot.bus)) for slot in profile.slots]
    return values


def tried(form: Mapping[str, str], labs: Sequence[str], slots: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """What stands in the form that was sent, to be shown again."""
    values: dict[str, Any] = {field.name: form.get(field.name, "")[:2000] for field in FIELDS}
    for field in FIELDS:
        if field.kind == "switch":
            values[field.name] = field.name in form
    values["labs"] = list(labs)
    values["slots"] = list(slots)
    return values


def parsed(values: Mapping[str, Any]) -> dict[str, Any]:
    """As fields of a profile. Raises InvalidInput with the field that is no number or no choice."""
    changes: dict[str, Any] = {}
    for field in FIELDS:
        value = values[field.name]
        if field.kind == "number":
            changes[field.name] = _whole(field, value.strip())
        elif field.kind == "choice":
            if value not in field.choices:
                raise InvalidInput(field.name, f"must be one of {', '.join(field.choices)}")
            changes[field.name] = _ENUMS[field.name](value)
        elif field.kind == "lines":
            changes[field.name] = tuple(line.strip() for line in value.splitlines() if line.strip())
        elif field.kind == "labs":
            changes[field.name] = frozenset(value)
        elif field.kind == "switch":
            changes[field.name] = bool(value)
        else:
            changes[field.name] = value.strip() or (None if field.empty else "")
    changes["slots"] = tuple(_slot(*each) for each in values["slots"] if each[0])
    return changes


def _slot(what: str, version: str, bus: str) -> Slot:
    if bus not in tuple(Bus):
        raise InvalidInput("disks", f"must have a bus: {', '.join(Bus)}")
    if what in (SlotKind.CDROM, SlotKind.EMPTY):
        return Slot(kind=SlotKind(what), bus=Bus(bus))
    if version and (not version.isascii() or not version.isdigit() or len(version) > 9):
        raise InvalidInput("disks", "has a version that is no number", hint="Empty: the one that is published.")
    return Slot(kind=SlotKind.DISK, bus=Bus(bus), image=what, version=int(version) if version else None)


def _whole(field: Field, text: str) -> int | None:
    if not text and field.empty:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidInput(field.name, "must be a whole number")
    return int(text)
