# SPDX-License-Identifier: MIT
"""Instant clones: profiles that want them, how a guest's run began, and the guests and jobs that make templates."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

# One more purpose and one more kind: SQLite changes no constraint, the tables are made anew (sqlite.org/lang_altertable.html, 7). Others
# refer to them by their names; foreign keys are off here, and all are checked afterwards.
PROFILES = (
    "CREATE TEMP TABLE kept_profiles AS SELECT *, 0 AS instant_clone FROM profiles",
    "DROP TABLE profiles",
    """
    CREATE TABLE profiles (
        name TEXT NOT NULL,
        memory_mib INTEGER NOT NULL,
        cpus INTEGER NOT NULL,
        firmware TEXT NOT NULL,
        machine TEXT NOT NULL,
        clock TEXT NOT NULL,
        nic TEXT NOT NULL,
        sound TEXT NOT NULL,
        video TEXT NOT NULL,
        protocol TEXT NOT NULL,
        mode TEXT NOT NULL,
        position INTEGER NOT NULL,
        active INTEGER NOT NULL,
        user TEXT,
        ready_port INTEGER,
        note TEXT NOT NULL,
        max_guests INTEGER,
        start_guests INTEGER NOT NULL,
        restart_days INTEGER,
        session_policy TEXT NOT NULL,
        drain_seconds INTEGER NOT NULL,
        overlay_cap_mib INTEGER,
        hyperv INTEGER NOT NULL,
        tpm INTEGER NOT NULL,
        extra TEXT NOT NULL,
        checks TEXT NOT NULL,
        home TEXT,
        instant_clone INTEGER NOT NULL,
        PRIMARY KEY (name),
        CHECK (firmware IN ('bios', 'uefi')),
        CHECK (machine IN ('q35', 'pc')),
        CHECK (clock IN ('utc', 'localtime')),
        CHECK (nic IN ('virtio', 'e1000', 'rtl8139')),
        CHECK (sound IN ('none', 'hda', 'ac97')),
        CHECK (video IN ('std', 'virtio', 'qxl')),
        CHECK (protocol IN ('rdp', 'spice')),
        CHECK (mode IN ('snapshot', 'administrative')),
        CHECK (active IN (0, 1)),
        CHECK (session_policy IN ('refuse', 'drain', 'alongside')),
        CHECK (hyperv IN (0, 1)),
        CHECK (tpm IN (0, 1)),
        CHECK (instant_clone IN (0, 1))
    )
    """,
    "INSERT INTO profiles SELECT * FROM kept_profiles",
    "DROP TABLE kept_profiles",
)

GUESTS = (
    "CREATE TEMP TABLE kept_guests AS SELECT *, '' AS origin FROM guests",
    "DROP TABLE guests",
    """
    CREATE TABLE guests (
        name TEXT NOT NULL,
        lab TEXT NOT NULL,
        seat INTEGER NOT NULL,
        wish TEXT NOT NULL,
        generation INTEGER NOT NULL,
        state TEXT NOT NULL,
        since TEXT NOT NULL,
        reason TEXT NOT NULL,
        terminal TEXT,
        profile TEXT,
        run TEXT,
        host TEXT,
        stop_how TEXT NOT NULL,
        asked_at TEXT,
        started_at TEXT,
        running_at TEXT,
        failures INTEGER NOT NULL,
        purpose TEXT NOT NULL,
        source TEXT NOT NULL,
        cdrom TEXT NOT NULL,
        boot_cdrom INTEGER NOT NULL,
        due TEXT,
        due_at TEXT,
        notice TEXT NOT NULL,
        origin TEXT NOT NULL,
        PRIMARY KEY (name),
        UNIQUE (lab, seat),
        CHECK (wish IN ('running', 'stopped')),
        CHECK (state IN ('wanted', 'starting', 'running', 'connected', 'paused', 'silent', 'stopping', 'stopped', 'failed')),
        CHECK (stop_how IN ('shutdown', 'stop', 'kill')),
        CHECK (purpose IN ('seat', 'admin', 'canary', 'rescue', 'template')),
        CHECK (boot_cdrom IN (0, 1)),
        CHECK (due IN ('fresh', 'stop')),
        CHECK (generation >= 1),
        CHECK ((due IS NULL) = (due_at IS NULL)),
        FOREIGN KEY(lab) REFERENCES labs (name),
        FOREIGN KEY(terminal) REFERENCES terminals (name) ON DELETE SET NULL,
        FOREIGN KEY(profile) REFERENCES profiles (name),
        UNIQUE (run),
        FOREIGN KEY(host) REFERENCES hosts (name)
    )
    """,
    "INSERT INTO guests SELECT * FROM kept_guests",
    "DROP TABLE kept_guests",
)

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
            'rescue-files', 'backup', 'template')),
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        CHECK (cancel IN (0, 1))
    )
    """,
    "INSERT INTO jobs SELECT * FROM kept_jobs",
    "DROP TABLE kept_jobs",
    "CREATE INDEX jobs_of_state ON jobs (state, number)",
)


def upgrade() -> None:
    for statement in (*PROFILES, *GUESTS, *JOBS):
        op.execute(statement)
