# SPDX-License-Identifier: MIT
"""Rooms: where the seats of a lab stand."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE rooms (
            lab TEXT NOT NULL,
            name TEXT NOT NULL,
            position INTEGER NOT NULL,
            columns INTEGER NOT NULL,
            rows INTEGER NOT NULL,
            PRIMARY KEY (lab, name),
            FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE seat_places (
            lab TEXT NOT NULL,
            seat INTEGER NOT NULL,
            room TEXT NOT NULL,
            x INTEGER NOT NULL,
            y INTEGER NOT NULL,
            PRIMARY KEY (lab, seat),
            FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE
        )
        """
    )
