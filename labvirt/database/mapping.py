# SPDX-License-Identifier: MIT
"""Rows <-> domain values, field by field. Pure. A row that cannot be a value raises ValueError, InvalidInput or
KeyError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import wraps
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePosixPath
from typing import Any, TypeVar

from labvirt.contracts.database import Heartbeat, HistoryEntry
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow, Wish
from labvirt.domain.host import Host
from labvirt.domain.image import DiskChoice, Image, Stage, Version
from labvirt.domain.lab import Lab, OnLeave
from labvirt.domain.profile import (
    Bus,
    Clock,
    Firmware,
    Machine,
    Mode,
    Nic,
    Profile,
    Protocol,
    Slot,
    SlotKind,
    Sound,
    Video,
)
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.domain.terminal_class import TerminalClass

Row = Mapping[str, Any]
"""Column -> value, as read or to be written."""

T = TypeVar("T")

KEPT = 1000
"""Values of one kind; more, and all are made anew."""


def _kept(make: Callable[..., T]) -> Callable[..., T]:
    """For what is read a thousand times as often as it changes: the same rows give the value that was made (and checked)
    of them before. Values are frozen, so nothing can go stale.
    """
    known: dict[object, T] = {}

    @wraps(make)
    def of(row: Row, *parts: Iterable[Row]) -> T:
        key = (*row.items(), *(tuple(tuple(each.items()) for each in part) for part in parts))
        value = known.get(key)
        if value is None:
            value = make(row, *parts)
            if len(known) >= KEPT:
                known.clear()
            known[key] = value
        return value

    return of


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


@_kept
def lab_of(row: Row) -> Lab:
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
    )


def terminal_row(terminal: Terminal) -> Row:
    return {
        "name": terminal.name,
        "lab": terminal.lab,
        "seat": terminal.seat,
        "mac": str(terminal.mac) if terminal.mac else None,
        "inventory_id": terminal.inventory_id,
        "terminal_class": terminal.terminal_class,
        "profile": terminal.profile,
        "parameters": _pairs_text(terminal.parameters),
        "active": int(terminal.active),
        "note": terminal.note,
    }


def terminal_of(row: Row) -> Terminal:
    return Terminal(
        name=row["name"],
        lab=row["lab"],
        seat=row["seat"],
        mac=MacAddress.parse(row["mac"]) if row["mac"] else None,
        inventory_id=row["inventory_id"],
        terminal_class=row["terminal_class"],
        profile=row["profile"],
        parameters=_pairs(row["parameters"]),
        active=bool(row["active"]),
        note=row["note"],
    )


def class_row(each: TerminalClass) -> Row:
    return {
        "name": each.name,
        "program": each.program,
        "template": each.template,
        "defaults": _pairs_text(each.defaults),
    }


@_kept
def class_of(row: Row) -> TerminalClass:
    return TerminalClass(name=row["name"], program=row["program"], template=row["template"], defaults=_pairs(row["defaults"]))


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


def image_row(image: Image) -> Row:
    return {"name": image.name, "published": image.published, "note": image.note}


def image_of(row: Row) -> Image:
    return Image(name=row["name"], published=row["published"], note=row["note"])


def version_row(version: Version) -> Row:
    return {
        "image": version.image,
        "number": version.number,
        "file": str(version.file),
        "format": version.format,
        "size_bytes": version.size_bytes,
        "virtual_bytes": version.virtual_bytes,
        "sha256": version.sha256,
        "stage": str(version.stage),
        "made_at": time_text(version.made_at),
        "parent": version.parent,
        "note": version.note,
    }


def version_of(row: Row) -> Version:
    return Version(
        image=row["image"],
        number=row["number"],
        file=PurePosixPath(row["file"]),
        format=row["format"],
        size_bytes=row["size_bytes"],
        virtual_bytes=row["virtual_bytes"],
        sha256=row["sha256"],
        stage=Stage(row["stage"]),
        made_at=_time(row["made_at"]),
        parent=row["parent"],
        note=row["note"],
    )


def profile_row(profile: Profile) -> Row:
    return {
        "name": profile.name,
        "memory_mib": profile.memory_mib,
        "cpus": profile.cpus,
        "firmware": str(profile.firmware),
        "machine": str(profile.machine),
        "clock": str(profile.clock),
        "nic": str(profile.nic),
        "sound": str(profile.sound),
        "video": str(profile.video),
        "protocol": str(profile.protocol),
        "mode": str(profile.mode),
        "position": profile.position,
        "active": int(profile.active),
        "user": profile.user,
        "ready_port": profile.ready_port,
        "note": profile.note,
    }


def slot_rows(profile: Profile) -> list[Row]:
    return [
        {
            "profile": profile.name,
            "place": place,
            "kind": str(slot.kind),
            "bus": str(slot.bus),
            "image": slot.image,
            "version": slot.version,
        }
        for place, slot in enumerate(profile.slots)
    ]


def affinity_rows(profile: Profile) -> list[Row]:
    return [{"profile": profile.name, "lab": lab} for lab in sorted(profile.labs)]


@_kept
def profile_of(row: Row, slots: Iterable[Row], affinities: Iterable[Row]) -> Profile:
    """`slots` are this profile's, by place."""
    return Profile(
        name=row["name"],
        memory_mib=row["memory_mib"],
        cpus=row["cpus"],
        firmware=Firmware(row["firmware"]),
        machine=Machine(row["machine"]),
        clock=Clock(row["clock"]),
        slots=tuple(Slot(kind=SlotKind(s["kind"]), bus=Bus(s["bus"]), image=s["image"], version=s["version"]) for s in slots),
        nic=Nic(row["nic"]),
        sound=Sound(row["sound"]),
        video=Video(row["video"]),
        protocol=Protocol(row["protocol"]),
        mode=Mode(row["mode"]),
        position=row["position"],
        labs=frozenset(affinity["lab"] for affinity in affinities),
        active=bool(row["active"]),
        user=row["user"],
        ready_port=row["ready_port"],
        note=row["note"],
    )


def guest_row(guest: Guest) -> Row:
    return {
        "name": guest.name,
        "lab": guest.lab,
        "seat": guest.seat,
        "wish": str(guest.wish),
        "generation": guest.generation,
        "state": str(guest.state),
        "since": time_text(guest.since),
        "reason": guest.reason,
        "terminal": guest.terminal,
        "profile": guest.profile,
        "run": str(guest.run) if guest.run else None,
        "host": guest.host,
        "stop_how": str(guest.stop_how),
        "asked_at": _maybe_text(guest.asked_at),
        "started_at": _maybe_text(guest.started_at),
        "running_at": _maybe_text(guest.running_at),
        "failures": guest.failures,
    }


def disk_rows(guest: Guest) -> list[Row]:
    return [{"guest": guest.name, "place": disk.place, "image": disk.image, "version": disk.version} for disk in guest.disks]


def guest_of(row: Row, disks: Iterable[Row]) -> Guest:
    """`disks` are this guest's, by place."""
    return Guest(
        name=row["name"],
        lab=row["lab"],
        seat=row["seat"],
        wish=Wish(row["wish"]),
        generation=row["generation"],
        state=GuestState(row["state"]),
        since=_time(row["since"]),
        reason=row["reason"],
        terminal=row["terminal"],
        profile=row["profile"],
        disks=tuple(DiskChoice(place=d["place"], image=d["image"], version=d["version"]) for d in disks),
        run=RunId.parse(row["run"]) if row["run"] else None,
        host=row["host"],
        stop_how=StopHow(row["stop_how"]),
        asked_at=_maybe_time(row["asked_at"]),
        started_at=_maybe_time(row["started_at"]),
        running_at=_maybe_time(row["running_at"]),
        failures=row["failures"],
    )


def stranger_row(stranger: Stranger) -> Row:
    return {
        "id": stranger.id,
        "code": stranger.code,
        "mac": str(stranger.mac) if stranger.mac else None,
        "address": str(stranger.address) if stranger.address else None,
        "first_seen": time_text(stranger.first_seen),
        "last_seen": time_text(stranger.last_seen),
        "asked": stranger.asked,
        "says": _pairs_text(stranger.says),
    }


def stranger_of(row: Row) -> Stranger:
    return Stranger(
        id=row["id"],
        code=row["code"],
        mac=MacAddress.parse(row["mac"]) if row["mac"] else None,
        address=IPv4Address(row["address"]) if row["address"] else None,
        first_seen=_time(row["first_seen"]),
        last_seen=_time(row["last_seen"]),
        asked=row["asked"],
        says=_pairs(row["says"]),
    )


def heartbeat_row(beat: Heartbeat) -> Row:
    return {
        "terminal": beat.terminal,
        "at": time_text(beat.at),
        "viewer": beat.viewer,
        "viewer_exit": beat.viewer_exit,
        "viewer_seconds": beat.viewer_seconds,
        "kiosk": beat.kiosk,
        "error": beat.error,
    }


def heartbeat_of(row: Row) -> Heartbeat:
    return Heartbeat(
        terminal=row["terminal"],
        at=_time(row["at"]),
        viewer=row["viewer"],
        viewer_exit=row["viewer_exit"],
        viewer_seconds=row["viewer_seconds"],
        kiosk=row["kiosk"],
        error=row["error"],
    )


def entry_row(entry: HistoryEntry) -> Row:
    return {"at": time_text(entry.at), "subject": entry.subject, "what": entry.what}


def entry_of(row: Row) -> HistoryEntry:
    return HistoryEntry(at=_time(row["at"]), subject=row["subject"], what=row["what"])


def time_text(value: datetime) -> str:
    """Sorts as text like the time itself. A time without a zone is a programmer's mistake."""
    if value.tzinfo is None:
        raise ValueError("a time must know its zone")
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe_text(value: datetime | None) -> str | None:
    return None if value is None else time_text(value)


def _maybe_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)


def _pairs_text(pairs: Iterable[tuple[str, str]]) -> str:
    return json.dumps([list(pair) for pair in pairs], ensure_ascii=False)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in json.loads(text))
