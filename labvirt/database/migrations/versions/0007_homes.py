# SPDX-License-Identifier: MIT
"""Homes: where a profile's guests keep their person's work."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE profiles ADD COLUMN home TEXT")
