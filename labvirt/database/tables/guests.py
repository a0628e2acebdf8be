# SPDX-License-Identifier: MIT
"""Guests with the versions they run, and what they are told; hosts."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from labvirt.database.tables.columns import FLAG, filled, maybe, metadata, name, number, one_of, refers
from labvirt.domain.guest import Due, GuestState, Purpose, StopHow, Wish

hosts = Table(
    "hosts",
    metadata,
    name(),
    number("memory_reserve_mib"),
    number("disk_reserve_mib"),
    Column("starts_at_once", Integer),
    Column("max_guests", Integer),
    number("in_service"),
    filled("note"),
    one_of("in_service", FLAG),
)

guests = Table(
    "guests",
    metadata,
    name(),
    refers("lab", "labs.name", needed=True),
    number("seat"),
    filled("wish"),
    number("generation"),
    filled("state"),
    filled("since"),
    filled("reason"),
    refers("terminal", "terminals.name", on_delete="SET NULL"),
    refers("profile", "profiles.name"),
    Column("run", Text, unique=True),
    refers("host", "hosts.name"),
    filled("stop_how"),
    maybe("asked_at"),
    maybe("started_at"),
    maybe("running_at"),
    number("failures"),
    filled("purpose"),
    filled("source"),
    filled("cdrom"),
    number("boot_cdrom"),
    maybe("due"),
    maybe("due_at"),
    filled("notice"),
    filled("origin"),
    UniqueConstraint("lab", "seat"),
    one_of("wish", Wish),
    one_of("state", GuestState),
    one_of("stop_how", StopHow),
    one_of("purpose", Purpose),
    one_of("boot_cdrom", FLAG),
    one_of("due", Due),
    CheckConstraint("generation >= 1"),
    CheckConstraint("(due IS NULL) = (due_at IS NULL)"),
)

guest_disks = Table(
    "guest_disks",
    metadata,
    Column("guest", Text, ForeignKey("guests.name", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    filled("image"),
    number("version"),
    ForeignKeyConstraint(["image", "version"], ["versions.image", "versions.number"]),
)

messages = Table(
    "messages",
    metadata,
    Column("guest", Text, ForeignKey("guests.name", ondelete="CASCADE"), primary_key=True),
    filled("text"),
    filled("until"),
)
