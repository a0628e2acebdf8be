# SPDX-License-Identifier: MIT
"""Labs, their terminals, and who knocked: what stands in a room."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from labvirt.database.tables.columns import FLAG, filled, maybe, metadata, name, number, one_of, refers
from labvirt.domain.boot import SOURCES
from labvirt.domain.lab import DhcpMode, OnLeave
from labvirt.domain.setting import Scope
from labvirt.domain.terminal_class import PROGRAMS

labs = Table(
    "labs",
    metadata,
    name(),
    Column("block", Integer, nullable=False, unique=True),
    Column("network", Text, nullable=False, unique=True),
    number("max_instances"),
    number("start_instances"),
    filled("on_leave"),
    number("leave_grace_seconds"),
    filled("domain"),
    number("mac_prefix"),
    filled("note"),
    one_of("on_leave", OnLeave),
    CheckConstraint("block BETWEEN 0 AND 4095"),
    CheckConstraint("start_instances BETWEEN 0 AND max_instances"),
)

lab_dhcp = Table(
    "lab_dhcp",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    filled("mode"),
    one_of("mode", [mode for mode in DhcpMode if mode is not DhcpMode.OWN]),
)
"""Labs whose addresses the campus gives; the others have no row."""

classes = Table(
    "classes",
    metadata,
    name(),
    filled("program"),
    filled("template"),
    filled("defaults"),
    one_of("program", PROGRAMS),
)

terminals = Table(
    "terminals",
    metadata,
    name(),
    refers("lab", "labs.name", needed=True),
    number("seat"),
    Column("mac", Text, unique=True),
    Column("inventory_id", Text, unique=True),
    refers("terminal_class", "classes.name", needed=True),
    refers("profile", "profiles.name"),
    filled("parameters"),
    number("active"),
    filled("note"),
    UniqueConstraint("lab", "seat"),
    one_of("active", FLAG),
    CheckConstraint("seat >= 1"),
)

rooms = Table(
    "rooms",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    number("position"),
    number("columns"),
    number("rows"),
)

seat_places = Table(
    "seat_places",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    Column("seat", Integer, primary_key=True, autoincrement=False),
    filled("room"),
    number("x"),
    number("y"),
)
"""Where somebody put a seat; the others stand where the reading order puts them (domain/room.py)."""

strangers = Table(
    "strangers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    maybe("mac"),
    maybe("address"),
    filled("first_seen"),
    filled("last_seen"),
    number("asked"),
    filled("says"),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), primary_key=True),
    filled("at"),
    filled("viewer"),
    Column("viewer_exit", Integer),
    Column("viewer_seconds", Integer),
    filled("kiosk"),
    filled("error"),
)

hardware = Table(
    "hardware",
    metadata,
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), primary_key=True),
    filled("at"),
    filled("since"),
    Column("memory_mib", Integer),
    Column("cpus", Integer),
    filled("cpu"),
    filled("vendor"),
    filled("product"),
    filled("bios"),
    filled("interface"),
    Column("link_mbps", Integer),
    maybe("screens"),
)

boots = Table(
    "boots",
    metadata,
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), primary_key=True),
    Column("boot_id", Text, primary_key=True),
    filled("at"),
    filled("phases"),
    filled("own"),
    Column("firmware_ms", Integer),
    Column("loader_ms", Integer),
    filled("image_from"),
    Column("image_bytes", Integer),
    Column("kernel_bytes", Integer),
    Column("initrd_bytes", Integer),
    number("complete"),
    filled("kiosk"),
    one_of("image_from", SOURCES),
    one_of("complete", FLAG),
)

settings = Table(
    "settings",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    filled("value"),
    one_of("scope", Scope),
    CheckConstraint("(scope = 'site') = (subject = '')"),
)
"""`subject` is the name of a lab, class or terminal; who removes one removes its settings."""
