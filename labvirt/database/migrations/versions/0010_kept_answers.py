# SPDX-License-Identifier: MIT
"""Kept answers: a request with an Idempotency-Key is done once, whoever sends it again."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE kept_answers (
            who TEXT NOT NULL,
            "key" TEXT NOT NULL,
            mark TEXT NOT NULL,
            process TEXT NOT NULL,
            at TEXT NOT NULL,
            status INTEGER NOT NULL,
            headers TEXT NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (who, "key")
        )
    """)
    op.execute("CREATE INDEX kept_answers_at ON kept_answers (at)")
