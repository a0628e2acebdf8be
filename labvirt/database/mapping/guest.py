# SPDX-License-Identifier: MIT
"""Guests, and the versions their disks were started from."""

from __future__ import annotations

from collections.abc import Iterable

from labvirt.database.mapping.row import Row, maybe_text, maybe_time, time_of, time_text
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.image import DiskChoice


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
        "asked_at": maybe_text(guest.asked_at),
        "started_at": maybe_text(guest.started_at),
        "running_at": maybe_text(guest.running_at),
        "failures": guest.failures,
        "purpose": str(guest.purpose),
        "source": guest.source,
        "cdrom": guest.cdrom,
        "boot_cdrom": int(guest.boot_cdrom),
        "due": str(guest.due) if guest.due else None,
        "due_at": maybe_text(guest.due_at),
        "notice": guest.notice,
        "origin": guest.origin,
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
        since=time_of(row["since"]),
        reason=row["reason"],
        terminal=row["terminal"],
        profile=row["profile"],
        disks=tuple(DiskChoice(place=d["place"], image=d["image"], version=d["version"]) for d in disks),
        run=RunId.parse(row["run"]) if row["run"] else None,
        host=row["host"],
        stop_how=StopHow(row["stop_how"]),
        asked_at=maybe_time(row["asked_at"]),
        started_at=maybe_time(row["started_at"]),
        running_at=maybe_time(row["running_at"]),
        failures=row["failures"],
        purpose=Purpose(row["purpose"]),
        source=row["source"],
        cdrom=row["cdrom"],
        boot_cdrom=bool(row["boot_cdrom"]),
        due=Due(row["due"]) if row["due"] else None,
        due_at=maybe_time(row["due_at"]),
        notice=row["notice"],
        origin=row["origin"],
    )
