# SPDX-License-Identifier: MIT
"""Which token made a token: both are taken back together. Of those that are there already nobody knows it."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("DROP INDEX token_by_hash")
    op.execute("DROP INDEX token_once")
    op.execute("ALTER TABLE api_tokens RENAME TO api_tokens_before")
    op.execute(
        """
        CREATE TABLE api_tokens (
            id TEXT NOT NULL,
            token TEXT NOT NULL,
            person TEXT NOT NULL,
            name TEXT NOT NULL,
            rights TEXT,
            made_at TEXT NOT NULL,
            expires_at TEXT NOT NULL,
            used_at TEXT,
            made_by TEXT,
            PRIMARY KEY (id),
            FOREIGN KEY(person) REFERENCES people (name) ON DELETE CASCADE,
            FOREIGN KEY(made_by) REFERENCES api_tokens (id) ON DELETE CASCADE
        )
        """
    )
    op.execute(
        """
        INSERT INTO api_tokens (id, token, person, name, rights, made_at, expires_at, used_at)
        SELECT id, token, person, name, rights, made_at, expires_at, used_at FROM api_tokens_before
        """
    )
    op.execute("DROP TABLE api_tokens_before")
    op.execute("CREATE UNIQUE INDEX token_by_hash ON api_tokens (token)")
    op.execute("CREATE UNIQUE INDEX token_once ON api_tokens (person, name)")
