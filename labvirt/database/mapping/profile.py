# SPDX-License-Identifier: MIT
"""Profiles, their slots, and the labs they are meant for."""

from __future__ import annotations

from collections.abc import Iterable

from labvirt.database.mapping.row import Row, kept, words_of, words_text
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
        "max_guests": profile.max_guests,
        "start_guests": profile.start_guests,
        "restart_days": profile.restart_days,
        "session_policy": str(profile.session_policy),
        "drain_seconds": profile.drain_seconds,
        "overlay_cap_mib": profile.overlay_cap_mib,
        "hyperv": int(profile.hyperv),
        "tpm": int(profile.tpm),
        "extra": words_text(profile.extra),
        "checks": words_text(profile.checks),
        "home": profile.home,
        "instant_clone": int(profile.instant_clone),
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


def position_rows(profile: Profile) -> list[Row]:
    return [{"profile": profile.name, "lab": lab, "position": position} for lab, position in sorted(profile.lab_positions)]


@kept
def profile_of(row: Row, slots: Iterable[Row], affinities: Iterable[Row], positions: Iterable[Row]) -> Profile:
    """`slots` are this profile's, by place; the others by lab."""
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
        lab_positions=tuple((each["lab"], each["position"]) for each in positions),
        max_guests=row["max_guests"],
        start_guests=row["start_guests"],
        restart_days=row["restart_days"],
        session_policy=SessionPolicy(row["session_policy"]),
        drain_seconds=row["drain_seconds"],
        overlay_cap_mib=row["overlay_cap_mib"],
        hyperv=bool(row["hyperv"]),
        tpm=bool(row["tpm"]),
        extra=words_of(row["extra"]),
        checks=words_of(row["checks"]),
        home=row["home"],
        instant_clone=bool(row["instant_clone"]),
    )
