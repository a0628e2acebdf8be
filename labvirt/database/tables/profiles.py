# SPDX-License-Identifier: MIT
"""Profiles with their drives and where they may be used."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Table,
    Text,
)

from labvirt.database.tables.columns import FLAG, filled, maybe, metadata, name, number, one_of, refers
from labvirt.domain.profile import Bus, Clock, Firmware, Machine, Mode, Nic, Protocol, SessionPolicy, SlotKind, Sound, Video

profiles = Table(
    "profiles",
    metadata,
    name(),
    number("memory_mib"),
    number("cpus"),
    filled("firmware"),
    filled("machine"),
    filled("clock"),
    filled("nic"),
    filled("sound"),
    filled("video"),
    filled("protocol"),
    filled("mode"),
    number("position"),
    number("active"),
    maybe("user"),
    Column("ready_port", Integer),
    filled("note"),
    Column("max_guests", Integer),
    number("start_guests"),
    Column("restart_days", Integer),
    filled("session_policy"),
    number("drain_seconds"),
    Column("overlay_cap_mib", Integer),
    number("hyperv"),
    number("tpm"),
    filled("extra"),
    filled("checks"),
    maybe("home"),
    number("instant_clone"),
    one_of("firmware", Firmware),
    one_of("machine", Machine),
    one_of("clock", Clock),
    one_of("nic", Nic),
    one_of("sound", Sound),
    one_of("video", Video),
    one_of("protocol", Protocol),
    one_of("mode", Mode),
    one_of("active", FLAG),
    one_of("session_policy", SessionPolicy),
    one_of("hyperv", FLAG),
    one_of("tpm", FLAG),
    one_of("instant_clone", FLAG),
)

profile_slots = Table(
    "profile_slots",
    metadata,
    Column("profile", Text, ForeignKey("profiles.name", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    filled("kind"),
    filled("bus"),
    refers("image", "images.name"),
    Column("version", Integer),
    one_of("kind", SlotKind),
    one_of("bus", Bus),
    ForeignKeyConstraint(["image", "version"], ["versions.image", "versions.number"]),
)

profile_labs = Table(
    "profile_labs",
    metadata,
    Column("profile", Text, ForeignKey("profiles.name", ondelete="CASCADE"), primary_key=True),
    Column("lab", Text, ForeignKey("labs.name"), primary_key=True),
)

profile_positions = Table(
    "profile_positions",
    metadata,
    Column("profile", Text, ForeignKey("profiles.name", ondelete="CASCADE"), primary_key=True),
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    number("position"),
)
