# SPDX-License-Identifier: MIT
"""Warm pools, and the runs that wait for their seats."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pools (
            lab TEXT NOT NULL,
            profile TEXT NOT NULL,
            ready INTEGER NOT NULL,
            paused INTEGER NOT NULL,
            prespawned INTEGER NOT NULL,
            minutes INTEGER NOT NULL,
            PRIMARY KEY (lab, profile),
            FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE,
            FOREIGN KEY(profile) REFERENCES profiles (name) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        CREATE TABLE spares (
            guest TEXT NOT NULL,
            generation INTEGER NOT NULL,
            kind TEXT NOT NULL,
            lab TEXT NOT NULL,
            profile TEXT NOT NULL,
            since TEXT NOT NULL,
            template TEXT NOT NULL,
            PRIMARY KEY (guest),
            CHECK (kind IN ('ready', 'paused', 'prespawned'))
        )
        """
    )
