# SPDX-License-Identifier: MIT
"""The tables as they are now. What may not be twice is held by a constraint, whoever writes.

How they came to be is in migrations/; a test compares both. Times are ISO 8601 text in UTC, addresses are text,
lists and small maps are JSON.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from labvirt.domain.draft import DraftState
from labvirt.domain.guest import Due, GuestState, Purpose, StopHow, Wish
from labvirt.domain.image import Stage
from labvirt.domain.job import JobKind, JobState
from labvirt.domain.lab import DhcpMode, OnLeave
from labvirt.domain.power_order import Occupied, OrderState, PowerWord
from labvirt.domain.power_policy import OnPowerOff
from labvirt.domain.profile import Bus, Clock, Firmware, Machine, Mode, Nic, Protocol, SessionPolicy, SlotKind, Sound, Video
from labvirt.domain.terminal_class import PROGRAMS

metadata = MetaData()

FLAG = (0, 1)


def _name() -> Column[str]:
    return Column("name", Text, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _maybe(name: str) -> Column[str | None]:
    return Column(name, Text)


def _refers(name: str, target: str, *, needed: bool = False, on_delete: str | None = None) -> Column[str | None]:
    return Column(name, Text, ForeignKey(target, ondelete=on_delete), nullable=not needed)


def _one_of(column: str, values: Iterable[object]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values)
    return CheckConstraint(f"{column} IN ({listed})")


labs = Table(
    "labs",
    metadata,
    _name(),
    Column("block", Integer, nullable=False, unique=True),
    Column("network", Text, nullable=False, unique=True),
    _number("max_instances"),
    _number("start_instances"),
    _text("on_leave"),
    _number("leave_grace_seconds"),
    _text("domain"),
    _number("mac_prefix"),
    _text("note"),
    _one_of("on_leave", OnLeave),
    CheckConstraint("block BETWEEN 0 AND 4095"),
    CheckConstraint("start_instances BETWEEN 0 AND max_instances"),
)

lab_dhcp = Table(
    "lab_dhcp",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    _text("mode"),
    _one_of("mode", [mode for mode in DhcpMode if mode is not DhcpMode.OWN]),
)
"""Labs whose addresses the campus gives; the others have no row."""

classes = Table(
    "classes",
    metadata,
    _name(),
    _text("program"),
    _text("template"),
    _text("defaults"),
    _one_of("program", PROGRAMS),
)

hosts = Table(
    "hosts",
    metadata,
    _name(),
    _number("memory_reserve_mib"),
    _number("disk_reserve_mib"),
    Column("starts_at_once", Integer),
    Column("max_guests", Integer),
    _number("in_service"),
    _text("note"),
    _one_of("in_service", FLAG),
)

images = Table(
    "images",
    metadata,
    _name(),
    Column("published", Integer),
    Column("previous", Integer),
    _text("note"),
    _maybe("binned_at"),
    ForeignKeyConstraint(["name", "published"], ["versions.image", "versions.number"], deferrable=True, initially="DEFERRED"),
    ForeignKeyConstraint(["name", "previous"], ["versions.image", "versions.number"], deferrable=True, initially="DEFERRED"),
)

versions = Table(
    "versions",
    metadata,
    Column("image", Text, ForeignKey("images.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("file", Text, nullable=False, unique=True),
    _text("format"),
    _number("size_bytes"),
    _number("virtual_bytes"),
    _text("sha256"),
    _text("stage"),
    _text("made_at"),
    Column("parent", Integer),
    _text("note"),
    _text("author"),
    Column("backing", Integer),
    _text("companions"),
    _maybe("binned_at"),
    _one_of("format", ("qcow2", "raw")),
    _one_of("stage", Stage),
    CheckConstraint("number >= 1"),
    ForeignKeyConstraint(["image", "backing"], ["versions.image", "versions.number"]),
)
"""`parent` is history and may be gone; what a file stands on (`backing`) may not."""

canaries = Table(
    "canaries",
    metadata,
    Column("image", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    _text("profile"),
    _text("at"),
    Column("seconds", REAL, nullable=False),
    _text("steps"),
    _text("picture"),
    _text("log"),
    ForeignKeyConstraint(["image", "version"], ["versions.image", "versions.number"], ondelete="CASCADE"),
)

profiles = Table(
    "profiles",
    metadata,
    _name(),
    _number("memory_mib"),
    _number("cpus"),
    _text("firmware"),
    _text("machine"),
    _text("clock"),
    _text("nic"),
    _text("sound"),
    _text("video"),
    _text("protocol"),
    _text("mode"),
    _number("position"),
    _number("active"),
    _maybe("user"),
    Column("ready_port", Integer),
    _text("note"),
    Column("max_guests", Integer),
    _number("start_guests"),
    Column("restart_days", Integer),
    _text("session_policy"),
    _number("drain_seconds"),
    Column("overlay_cap_mib", Integer),
    _number("hyperv"),
    _number("tpm"),
    _text("extra"),
    _text("checks"),
    _one_of("firmware", Firmware),
    _one_of("machine", Machine),
    _one_of("clock", Clock),
    _one_of("nic", Nic),
    _one_of("sound", Sound),
    _one_of("video", Video),
    _one_of("protocol", Protocol),
    _one_of("mode", Mode),
    _one_of("active", FLAG),
    _one_of("session_policy", SessionPolicy),
    _one_of("hyperv", FLAG),
    _one_of("tpm", FLAG),
)

profile_slots = Table(
    "profile_slots",
    metadata,
    Column("profile", Text, ForeignKey("profiles.name", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("bus"),
    _refers("image", "images.name"),
    Column("version", Integer),
    _one_of("kind", SlotKind),
    _one_of("bus", Bus),
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
    _number("position"),
)

terminals = Table(
    "terminals",
    metadata,
    _name(),
    _refers("lab", "labs.name", needed=True),
    _number("seat"),
    Column("mac", Text, unique=True),
    Column("inventory_id", Text, unique=True),
    _refers("terminal_class", "classes.name", needed=True),
    _refers("profile", "profiles.name"),
    _text("parameters"),
    _number("active"),
    _text("note"),
    UniqueConstraint("lab", "seat"),
    _one_of("active", FLAG),
    CheckConstraint("seat >= 1"),
)

guests = Table(
    "guests",
    metadata,
    _name(),
    _refers("lab", "labs.name", needed=True),
    _number("seat"),
    _text("wish"),
    _number("generation"),
    _text("state"),
    _text("since"),
    _text("reason"),
    _refers("terminal", "terminals.name", on_delete="SET NULL"),
    _refers("profile", "profiles.name"),
    Column("run", Text, unique=True),
    _refers("host", "hosts.name"),
    _text("stop_how"),
    _maybe("asked_at"),
    _maybe("started_at"),
    _maybe("running_at"),
    _number("failures"),
    _text("purpose"),
    _text("source"),
    _text("cdrom"),
    _number("boot_cdrom"),
    _maybe("due"),
    _maybe("due_at"),
    _text("notice"),
    UniqueConstraint("lab", "seat"),
    _one_of("wish", Wish),
    _one_of("state", GuestState),
    _one_of("stop_how", StopHow),
    _one_of("purpose", Purpose),
    _one_of("boot_cdrom", FLAG),
    _one_of("due", Due),
    CheckConstraint("generation >= 1"),
    CheckConstraint("(due IS NULL) = (due_at IS NULL)"),
)

guest_disks = Table(
    "guest_disks",
    metadata,
    Column("guest", Text, ForeignKey("guests.name", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    _text("image"),
    _number("version"),
    ForeignKeyConstraint(["image", "version"], ["versions.image", "versions.number"]),
)

drafts = Table(
    "drafts",
    metadata,
    _name(),
    _refers("image", "images.name", needed=True),
    _number("parent"),
    Column("pointer", Integer),
    _text("profile"),
    _text("lab"),
    _number("place"),
    _text("state"),
    _text("since"),
    _text("made_at"),
    _text("touched_at"),
    _text("owner"),
    _text("note"),
    _refers("guest", "guests.name", on_delete="SET NULL"),
    Column("candidate", Integer),
    _maybe("reminded_at"),
    _one_of("state", DraftState),
    ForeignKeyConstraint(["image", "parent"], ["versions.image", "versions.number"]),
    Index("one_open_draft", "image", unique=True, sqlite_where=text("state = 'open'")),
)
"""`candidate` is a number before it is a version; profile and lab are where it was worked on, and may be gone."""

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),
    _text("kind"),
    _text("subject"),
    _text("asked_by"),
    _text("asked_at"),
    _text("arguments"),
    _text("state"),
    _number("attempts"),
    _maybe("started_at"),
    _maybe("ended_at"),
    _text("step"),
    _maybe("step_since"),
    _number("done"),
    _number("total"),
    _text("unit"),
    _number("cancel"),
    _text("result"),
    _maybe("error"),
    _one_of("kind", JobKind),
    _one_of("state", JobState),
    _one_of("cancel", FLAG),
    Index("jobs_of_state", "state", "number"),
)

job_lines = Table(
    "job_lines",
    metadata,
    Column("job", Integer, ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("at"),
    _text("line"),
)

strangers = Table(
    "strangers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    _maybe("mac"),
    _maybe("address"),
    _text("first_seen"),
    _text("last_seen"),
    _number("asked"),
    _text("says"),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), primary_key=True),
    _text("at"),
    _text("viewer"),
    Column("viewer_exit", Integer),
    Column("viewer_seconds", Integer),
    _text("kiosk"),
    _text("error"),
)

power_orders = Table(
    "power_orders",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), nullable=False),
    _text("word"),
    _text("asked_by"),
    _text("asked_at"),
    _text("not_before"),
    _text("expires_at"),
    _text("state"),
    _maybe("given_at"),
    _maybe("ended_at"),
    _text("notice"),
    _text("why"),
    _one_of("word", PowerWord),
    _one_of("state", OrderState),
    Index("orders_of_terminal", "terminal", "state"),
    Index("one_open_order", "terminal", unique=True, sqlite_where=text("state IN ('waiting', 'given')")),
)

power_times = Table(
    "power_times",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    _maybe("on_at"),
    _maybe("off_at"),
    _text("days"),
    _text("occupied"),
    _number("grace_seconds"),
    _maybe("on_kept"),
    _maybe("off_kept"),
    _one_of("occupied", Occupied),
)
"""Times of the day and days as people write them (HH:MM, YYYY-MM-DD), by the host's wall clock."""

power_policies = Table(
    "power_policies",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    Column("seat", Integer, primary_key=True, autoincrement=False),
    _text("on_power_off"),
    _one_of("on_power_off", OnPowerOff),
    CheckConstraint("seat >= 0"),
)
"""Seat 0 is the whole lab."""

departures = Table(
    "departures",
    metadata,
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), primary_key=True),
    _text("word"),
    _text("at"),
    _maybe("stop_at"),
    _one_of("word", PowerWord),
)

hardware = Table(
    "hardware",
    metadata,
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), primary_key=True),
    _text("at"),
    _text("since"),
    Column("memory_mib", Integer),
    Column("cpus", Integer),
    _text("cpu"),
    _text("vendor"),
    _text("product"),
    _text("bios"),
    _text("interface"),
    Column("link_mbps", Integer),
    _maybe("screens"),
)

history = Table(
    "history",
    metadata,
    Column("number", Integer, primary_key=True),
    _text("at"),
    _text("subject"),
    _text("what"),
    Index("history_of_subject", "subject", "number"),
)

facts = Table("facts", metadata, _name(), _text("value"))

NOUNS = {
    "labs": "lab",
    "lab_dhcp": "lab",
    "classes": "terminal class",
    "hosts": "host",
    "images": "image",
    "versions": "version",
    "profiles": "profile",
    "profile_slots": "profile",
    "profile_labs": "profile",
    "terminals": "terminal",
    "guests": "guest",
    "guest_disks": "guest",
    "profile_positions": "profile",
    "canaries": "canary",
    "drafts": "draft",
    "jobs": "job",
    "job_lines": "job",
    "power_orders": "order",
}
"""What people call a row of each table; a part of something is called by its whole."""
