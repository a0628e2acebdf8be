# SPDX-License-Identifier: MIT
"""The audit takes the place of the history: its lines become the first entries of the chain."""

from __future__ import annotations

import hashlib
import json

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = (
    """
    CREATE TABLE audit (
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        kind TEXT NOT NULL,
        address TEXT NOT NULL,
        verb TEXT NOT NULL,
        noun TEXT NOT NULL,
        subject TEXT NOT NULL,
        lab TEXT,
        what TEXT NOT NULL,
        "before" TEXT NOT NULL,
        "after" TEXT NOT NULL,
        outcome TEXT NOT NULL,
        times INTEGER NOT NULL,
        seal TEXT NOT NULL,
        PRIMARY KEY (number),
        CHECK (kind IN ('machine', 'person', 'token', 'terminal')),
        CHECK (outcome IN ('done', 'refused', 'failed'))
    )
    """,
    "CREATE INDEX audit_of_subject ON audit (subject, number)",
    "CREATE INDEX audit_of_lab ON audit (lab, number)",
    "CREATE INDEX audit_of_who ON audit (who, number)",
    """
    CREATE TABLE audit_stumps (
        up_to INTEGER NOT NULL,
        seal TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (up_to)
    )
    """,
)

TRIGGERS = (
    """
    CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_is_appended_to BEFORE INSERT ON audit
    WHEN NEW.number <= (SELECT max(coalesce((SELECT max(number) FROM audit), 0), coalesce((SELECT max(up_to) FROM audit_stumps), 0)))
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_is_cut_behind_a_stump BEFORE DELETE ON audit
    WHEN OLD.number > coalesce((SELECT max(up_to) FROM audit_stumps), 0)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_stump_has_the_seal BEFORE INSERT ON audit_stumps
    WHEN NOT EXISTS (SELECT 1 FROM audit WHERE number = NEW.up_to AND seal = NEW.seal)
        OR NEW.up_to >= (SELECT max(number) FROM audit)
    BEGIN SELECT RAISE(ABORT, 'a stump has the seal of an entry that others follow'); END
    """,
    """
    CREATE TRIGGER audit_stump_is_never_changed BEFORE UPDATE ON audit_stumps
    BEGIN SELECT RAISE(ABORT, 'a stump is never changed'); END
    """,
    """
    CREATE TRIGGER audit_stump_is_never_removed BEFORE DELETE ON audit_stumps
    BEGIN SELECT RAISE(ABORT, 'a stump is never removed'); END
    """,
)

# A job of one more kind: SQLite changes no constraint, the table is made anew (sqlite.org/lang_altertable.html, 7). Its lines refer to it
# by its name; foreign keys are off here, and all are checked afterwards.
JOBS = (
    "CREATE TEMP TABLE kept_jobs AS SELECT * FROM jobs",
    "DROP TABLE jobs",
    """
    CREATE TABLE jobs (
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        asked_by TEXT NOT NULL,
        asked_at TEXT NOT NULL,
        arguments TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        started_at TEXT,
        ended_at TEXT,
        step TEXT NOT NULL,
        step_since TEXT,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        unit TEXT NOT NULL,
        cancel INTEGER NOT NULL,
        result TEXT NOT NULL,
        error TEXT,
        PRIMARY KEY (number),
        CHECK (kind IN ('import', 'blank', 'export', 'scrub', 'session', 'publish', 'canary', 'flatten', 'garbage',
            'rescue-files', 'backup')),
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        CHECK (cancel IN (0, 1))
    )
    """,
    "INSERT INTO jobs SELECT * FROM kept_jobs",
    "DROP TABLE kept_jobs",
    "CREATE INDEX jobs_of_state ON jobs (state, number)",
)

ENTRY = "INSERT INTO audit VALUES (?, ?, 'unknown', 'machine', '', 'note', '', ?, NULL, ?, '{}', '{}', 'done', 1, ?)"


def upgrade() -> None:
    for statement in (*TABLES, *TRIGGERS):
        op.execute(statement)
    _move_history()
    op.execute("DROP TABLE history")
    for statement in JOBS:
        op.execute(statement)


def _move_history() -> None:
    """In its order. Who it was nobody knows any more. The form that is sealed is that of domain/audit.py."""
    connection = op.get_bind()
    seal = "0" * 64
    found = connection.exec_driver_sql("SELECT at, subject, what FROM history ORDER BY number").fetchall()
    for number, (at, subject, what) in enumerate(found, start=1):
        form = [number, at, "unknown", "machine", "", "note", "", subject, None, what, "{}", "{}", "done", 1]
        text = json.dumps(form, ensure_ascii=True, separators=(",", ":"))
        seal = hashlib.sha256(f"{seal}\n{text}".encode("ascii")).hexdigest()
        connection.exec_driver_sql(ENTRY, (number, at, subject, what, seal))
