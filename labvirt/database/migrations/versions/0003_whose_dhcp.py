# SPDX-License-Identifier: MIT
"""Labs whose addresses the campus gives."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE lab_dhcp (
            lab TEXT NOT NULL,
            mode TEXT NOT NULL,
            PRIMARY KEY (lab),
            CHECK (mode IN ('proxy', 'none')),
            FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE
        )
        """
    )
