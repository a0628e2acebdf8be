# SPDX-License-Identifier: MIT
"""Power and place: orders to terminals, when labs are switched on and off, goodbyes, and what terminals say of their hardware."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = (
    """
    CREATE TABLE power_orders (
        number INTEGER NOT NULL,
        terminal TEXT NOT NULL,
        word TEXT NOT NULL,
        asked_by TEXT NOT NULL,
        asked_at TEXT NOT NULL,
        not_before TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        state TEXT NOT NULL,
        given_at TEXT,
        ended_at TEXT,
        notice TEXT NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (number),
        CHECK (word IN ('restart', 'shutdown')),
        CHECK (state IN ('waiting', 'given', 'done', 'refused', 'expired', 'cancelled')),
        FOREIGN KEY(terminal) REFERENCES terminals (name) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX one_open_order ON power_orders (terminal) WHERE state IN ('waiting', 'given')",
    "CREATE INDEX orders_of_terminal ON power_orders (terminal, state)",
    """
    CREATE TABLE power_times (
        lab TEXT NOT NULL,
        on_at TEXT,
        off_at TEXT,
        days TEXT NOT NULL,
        occupied TEXT NOT NULL,
        grace_seconds INTEGER NOT NULL,
        on_kept TEXT,
        off_kept TEXT,
        PRIMARY KEY (lab),
        CHECK (occupied IN ('warn', 'spare', 'now')),
        FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE power_policies (
        lab TEXT NOT NULL,
        seat INTEGER NOT NULL,
        on_power_off TEXT NOT NULL,
        PRIMARY KEY (lab, seat),
        CHECK (on_power_off IN ('keep', 'stop')),
        CHECK (seat >= 0),
        FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE departures (
        terminal TEXT NOT NULL,
        word TEXT NOT NULL,
        at TEXT NOT NULL,
        stop_at TEXT,
        PRIMARY KEY (terminal),
        CHECK (word IN ('restart', 'shutdown')),
        FOREIGN KEY(terminal) REFERENCES terminals (name) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE hardware (
        terminal TEXT NOT NULL,
        at TEXT NOT NULL,
        since TEXT NOT NULL,
        memory_mib INTEGER,
        cpus INTEGER,
        cpu TEXT NOT NULL,
        vendor TEXT NOT NULL,
        product TEXT NOT NULL,
        bios TEXT NOT NULL,
        interface TEXT NOT NULL,
        link_mbps INTEGER,
        screens TEXT,
        PRIMARY KEY (terminal),
        FOREIGN KEY(terminal) REFERENCES terminals (name) ON DELETE CASCADE
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
