# SPDX-License-Identifier: MIT
"""Images that cannot be broken: what versions stand on, recycle bins, drafts, jobs, canaries, and what profiles and guests need for them.

Tables whose constraints change are made anew with their rows (SQLite cannot alter those). It happens in the transaction of the whole
migration, with foreign keys off; migrate.py checks every reference before it commits.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

ANEW = {
    "images": """
    CREATE TABLE images (
        name TEXT NOT NULL,
        published INTEGER,
        previous INTEGER,
        note TEXT NOT NULL,
        binned_at TEXT,
        PRIMARY KEY (name),
        FOREIGN KEY(name, published) REFERENCES versions (image, number) DEFERRABLE INITIALLY DEFERRED,
        FOREIGN KEY(name, previous) REFERENCES versions (image, number) DEFERRABLE INITIALLY DEFERRED
    )
    """,
    "versions": """
    CREATE TABLE versions (
        image TEXT NOT NULL,
        number INTEGER NOT NULL,
        file TEXT NOT NULL,
        format TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        virtual_bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        stage TEXT NOT NULL,
        made_at TEXT NOT NULL,
        parent INTEGER,
        note TEXT NOT NULL,
        author TEXT NOT NULL,
        backing INTEGER,
        companions TEXT NOT NULL,
        binned_at TEXT,
        PRIMARY KEY (image, number),
        CHECK (format IN ('qcow2', 'raw')),
        CHECK (stage IN ('draft', 'tested', 'published', 'retired')),
        CHECK (number >= 1),
        FOREIGN KEY(image, backing) REFERENCES versions (image, number),
        FOREIGN KEY(image) REFERENCES images (name),
        UNIQUE (file)
    )
    """,
    "profiles": """
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
        CHECK (tpm IN (0, 1))
    )
    """,
    "guests": """
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
        PRIMARY KEY (name),
        UNIQUE (lab, seat),
        CHECK (wish IN ('running', 'stopped')),
        CHECK (state IN ('wanted', 'starting', 'running', 'connected', 'paused', 'silent', 'stopping', 'stopped', 'failed')),
        CHECK (stop_how IN ('shutdown', 'stop', 'kill')),
        CHECK (purpose IN ('seat', 'admin', 'canary', 'rescue')),
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
}
"""Tables as they are from now on."""

GIVEN = {
    "images": {"previous": "NULL", "binned_at": "NULL"},
    "versions": {"author": "''", "backing": "NULL", "companions": "'[]'", "binned_at": "NULL"},
    "profiles": {
        "max_guests": "NULL",
        "start_guests": "0",
        "restart_days": "NULL",
        "session_policy": "'refuse'",
        "drain_seconds": "300",
        "overlay_cap_mib": "NULL",
        "hyperv": "0",
        "tpm": "0",
        "extra": "'[]'",
        "checks": "'[]'",
    },
    "guests": {
        "purpose": "'seat'",
        "source": "''",
        "cdrom": "''",
        "boot_cdrom": "0",
        "due": "NULL",
        "due_at": "NULL",
        "notice": "''",
    },
}
"""What the new columns of an old row hold."""

NEW = (
    """
    CREATE TABLE canaries (
        image TEXT NOT NULL,
        version INTEGER NOT NULL,
        profile TEXT NOT NULL,
        at TEXT NOT NULL,
        seconds REAL NOT NULL,
        steps TEXT NOT NULL,
        picture TEXT NOT NULL,
        log TEXT NOT NULL,
        PRIMARY KEY (image, version),
        FOREIGN KEY(image, version) REFERENCES versions (image, number) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE profile_positions (
        profile TEXT NOT NULL,
        lab TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (profile, lab),
        FOREIGN KEY(profile) REFERENCES profiles (name) ON DELETE CASCADE,
        FOREIGN KEY(lab) REFERENCES labs (name) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE drafts (
        name TEXT NOT NULL,
        image TEXT NOT NULL,
        parent INTEGER NOT NULL,
        pointer INTEGER,
        profile TEXT NOT NULL,
        lab TEXT NOT NULL,
        place INTEGER NOT NULL,
        state TEXT NOT NULL,
        since TEXT NOT NULL,
        made_at TEXT NOT NULL,
        touched_at TEXT NOT NULL,
        owner TEXT NOT NULL,
        note TEXT NOT NULL,
        guest TEXT,
        candidate INTEGER,
        reminded_at TEXT,
        PRIMARY KEY (name),
        CHECK (state IN ('open', 'kept', 'publishing', 'published', 'discarded')),
        FOREIGN KEY(image, parent) REFERENCES versions (image, number),
        FOREIGN KEY(image) REFERENCES images (name),
        FOREIGN KEY(guest) REFERENCES guests (name) ON DELETE SET NULL
    )
    """,
    "CREATE UNIQUE INDEX one_open_draft ON drafts (image) WHERE state = 'open'",
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
        CHECK (kind IN ('import', 'blank', 'export', 'scrub', 'session', 'publish', 'canary', 'flatten', 'garbage', 'rescue-files')),
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        CHECK (cancel IN (0, 1))
    )
    """,
    "CREATE INDEX jobs_of_state ON jobs (state, number)",
    """
    CREATE TABLE job_lines (
        job INTEGER NOT NULL,
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        line TEXT NOT NULL,
        PRIMARY KEY (job, number),
        FOREIGN KEY(job) REFERENCES jobs (number) ON DELETE CASCADE
    )
    """,
)

ONE_IS_PUBLISHED = """
    UPDATE versions SET stage = 'retired'
    WHERE stage = 'published' AND number IS NOT (SELECT published FROM images WHERE images.name = versions.image)
"""
"""The stage follows the pointer now; before, a version that had been published once kept the word."""


def upgrade() -> None:
    for table, text in ANEW.items():
        _made_anew(table, text)
    for statement in NEW:
        op.execute(statement)
    op.execute(ONE_IS_PUBLISHED)


def _made_anew(table: str, text: str) -> None:
    old = [row[1] for row in op.get_bind().exec_driver_sql(f"PRAGMA table_info({table})")]
    given = GIVEN[table]
    columns, values = ", ".join([*old, *given]), ", ".join([*old, *given.values()])
    op.execute(f"CREATE TEMPORARY TABLE before AS SELECT * FROM {table}")  # noqa: S608 - names of this file
    op.execute(f"DROP TABLE {table}")
    op.execute(text)
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM before")  # noqa: S608 - names of this file
    op.execute("DROP TABLE before")
