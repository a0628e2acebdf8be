# SPDX-License-Identifier: MIT
"""Warm pools, and the runs that wait for their seats."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text

from labvirt.database.tables.columns import filled, metadata, number, one_of
from labvirt.domain.pool import SpareKind

pools = Table(
    "pools",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    Column("profile", Text, ForeignKey("profiles.name", ondelete="CASCADE"), primary_key=True),
    number("ready"),
    number("paused"),
    number("prespawned"),
    number("minutes"),
)

spares = Table(
    "spares",
    metadata,
    Column("guest", Text, primary_key=True),
    number("generation"),
    filled("kind"),
    filled("lab"),
    filled("profile"),
    filled("since"),
    filled("template"),
    one_of("kind", SpareKind),
)
"""They refer to nothing: what is left of one must be cleared away after its lab is gone, too."""
