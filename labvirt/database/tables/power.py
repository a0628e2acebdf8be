# SPDX-License-Identifier: MIT
"""Switching terminals on and off."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from labvirt.database.tables.columns import filled, maybe, metadata, number, one_of
from labvirt.domain.power_order import Occupied, OrderState, PowerWord
from labvirt.domain.power_policy import OnPowerOff

power_orders = Table(
    "power_orders",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), nullable=False),
    filled("word"),
    filled("asked_by"),
    filled("asked_at"),
    filled("not_before"),
    filled("expires_at"),
    filled("state"),
    maybe("given_at"),
    maybe("ended_at"),
    filled("notice"),
    filled("why"),
    one_of("word", PowerWord),
    one_of("state", OrderState),
    Index("orders_of_terminal", "terminal", "state"),
    Index("one_open_order", "terminal", unique=True, sqlite_where=text("state IN ('waiting', 'given')")),
)

power_times = Table(
    "power_times",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    maybe("on_at"),
    maybe("off_at"),
    filled("days"),
    filled("occupied"),
    number("grace_seconds"),
    maybe("on_kept"),
    maybe("off_kept"),
    one_of("occupied", Occupied),
)
"""Times of the day and days as people write them (HH:MM, YYYY-MM-DD), by the host's wall clock."""

power_policies = Table(
    "power_policies",
    metadata,
    Column("lab", Text, ForeignKey("labs.name", ondelete="CASCADE"), primary_key=True),
    Column("seat", Integer, primary_key=True, autoincrement=False),
    filled("on_power_off"),
    one_of("on_power_off", OnPowerOff),
    CheckConstraint("seat >= 0"),
)
"""Seat 0 is the whole lab."""

departures = Table(
    "departures",
    metadata,
    Column("terminal", Text, ForeignKey("terminals.name", ondelete="CASCADE"), primary_key=True),
    filled("word"),
    filled("at"),
    maybe("stop_at"),
    one_of("word", PowerWord),
)
