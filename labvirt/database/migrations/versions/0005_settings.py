# SPDX-License-Identifier: MIT
"""Settings of terminals (site, lab, terminal class, terminal), and messages for whoever sits at a guest."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE settings (
            scope TEXT NOT NULL,
            subject TEXT NOT NULL,
            "key" TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (scope, subject, "key"),
            CHECK (scope IN ('site', 'lab', 'class', 'terminal')),
            CHECK ((scope = 'site') = (subject = ''))
        )
        """
    )
    op.execute(
        """
        CREATE TABLE messages (
            guest TEXT NOT NULL,
            text TEXT NOT NULL,
            until TEXT NOT NULL,
            PRIMARY KEY (guest),
            FOREIGN KEY(guest) REFERENCES guests (name) ON DELETE CASCADE
        )
        """
    )
