# SPDX-License-Identifier: MIT
"""People: names, groups, grants, sign-ins, tokens."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = (
    """
    CREATE TABLE people (
        name TEXT NOT NULL,
        full_name TEXT NOT NULL,
        active INTEGER NOT NULL,
        made_at TEXT NOT NULL,
        password TEXT NOT NULL,
        password_at TEXT,
        totp TEXT NOT NULL,
        totp_new TEXT NOT NULL,
        totp_step INTEGER NOT NULL,
        recovery TEXT NOT NULL,
        PRIMARY KEY (name),
        CHECK (active IN (0, 1))
    )
    """,
    """
    CREATE TABLE person_groups (
        name TEXT NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE members (
        id INTEGER NOT NULL,
        person TEXT NOT NULL,
        group_name TEXT NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY(person) REFERENCES people (name) ON DELETE CASCADE,
        FOREIGN KEY(group_name) REFERENCES person_groups (name) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX member_once ON members (person, group_name)",
    """
    CREATE TABLE grants (
        id INTEGER NOT NULL,
        person TEXT,
        group_name TEXT,
        role TEXT NOT NULL,
        lab TEXT,
        PRIMARY KEY (id),
        CHECK (role IN ('administrator', 'lab-manager', 'teacher', 'help-desk', 'viewer')),
        FOREIGN KEY(person) REFERENCES people (name) ON DELETE CASCADE,
        FOREIGN KEY(group_name) REFERENCES person_groups (name) ON DELETE CASCADE,
        FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX grants_of_group ON grants (group_name)",
    "CREATE INDEX grants_of_person ON grants (person)",
    """
    CREATE TABLE sign_ins (
        id TEXT NOT NULL,
        token TEXT NOT NULL,
        person TEXT,
        whole INTEGER NOT NULL,
        address TEXT NOT NULL,
        agent TEXT NOT NULL,
        made_at TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        confirmed_at TEXT,
        PRIMARY KEY (id),
        CHECK (whole IN (0, 1)),
        FOREIGN KEY(person) REFERENCES people (name) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX sign_in_by_token ON sign_ins (token)",
    "CREATE INDEX sign_ins_of_person ON sign_ins (person)",
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
        PRIMARY KEY (id),
        FOREIGN KEY(person) REFERENCES people (name) ON DELETE CASCADE
    )
    """,
    "CREATE UNIQUE INDEX token_by_hash ON api_tokens (token)",
    "CREATE UNIQUE INDEX token_once ON api_tokens (person, name)",
)


def upgrade() -> None:
    for each in TABLES:
        op.execute(each)
