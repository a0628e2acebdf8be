# SPDX-License-Identifier: MIT
"""Images, their versions, drafts and trials."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from labvirt.database.tables.columns import filled, maybe, metadata, name, number, one_of, refers
from labvirt.domain.draft import DraftState
from labvirt.domain.image import Stage

images = Table(
    "images",
    metadata,
    name(),
    Column("published", Integer),
    Column("previous", Integer),
    filled("note"),
    maybe("binned_at"),
    ForeignKeyConstraint(["name", "published"], ["versions.image", "versions.number"], deferrable=True, initially="DEFERRED"),
    ForeignKeyConstraint(["name", "previous"], ["versions.image", "versions.number"], deferrable=True, initially="DEFERRED"),
)

versions = Table(
    "versions",
    metadata,
    Column("image", Text, ForeignKey("images.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("file", Text, nullable=False, unique=True),
    filled("format"),
    number("size_bytes"),
    number("virtual_bytes"),
    filled("sha256"),
    filled("stage"),
    filled("made_at"),
    Column("parent", Integer),
    filled("note"),
    filled("author"),
    Column("backing", Integer),
    filled("companions"),
    maybe("binned_at"),
    one_of("format", ("qcow2", "raw")),
    one_of("stage", Stage),
    CheckConstraint("number >= 1"),
    ForeignKeyConstraint(["image", "backing"], ["versions.image", "versions.number"]),
)
"""`parent` is history and may be gone; what a file stands on (`backing`) may not."""

canaries = Table(
    "canaries",
    metadata,
    Column("image", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    filled("profile"),
    filled("at"),
    Column("seconds", REAL, nullable=False),
    filled("steps"),
    filled("picture"),
    filled("log"),
    ForeignKeyConstraint(["image", "version"], ["versions.image", "versions.number"], ondelete="CASCADE"),
)

drafts = Table(
    "drafts",
    metadata,
    name(),
    refers("image", "images.name", needed=True),
    number("parent"),
    Column("pointer", Integer),
    filled("profile"),
    filled("lab"),
    number("place"),
    filled("state"),
    filled("since"),
    filled("made_at"),
    filled("touched_at"),
    filled("owner"),
    filled("note"),
    refers("guest", "guests.name", on_delete="SET NULL"),
    Column("candidate", Integer),
    maybe("reminded_at"),
    one_of("state", DraftState),
    ForeignKeyConstraint(["image", "parent"], ["versions.image", "versions.number"]),
    Index("one_open_draft", "image", unique=True, sqlite_where=text("state = 'open'")),
)
"""`candidate` is a number before it is a version; profile and lab are where it was worked on, and may be gone."""
