# SPDX-License-Identifier: MIT
"""The first house: labs, terminals, profiles, images, guests, hosts, the inbox, records."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    """
    CREATE TABLE labs (
        name TEXT NOT NULL,
        block INTEGER NOT NULL,
        network TEXT NOT NULL,
        max_instances INTEGER NOT NULL,
        start_instances INTEGER NOT NULL,
        on_leave TEXT NOT NULL,
        leave_grace_seconds INTEGER NOT NULL,
        domain TEXT NOT NULL,
        mac_prefix INTEGER NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (name),
        CHECK (on_leave IN ('keep', 'reset', 'stop')),
        CHECK (block BETWEEN 0 AND 4095),
        CHECK (start_instances BETWEEN 0 AND max_instances),
        UNIQUE (block),
        UNIQUE (network)
    )
    """,
    """
    CREATE TABLE classes (
        name TEXT NOT NULL,
        program TEXT NOT NULL,
        template TEXT NOT NULL,
        defaults TEXT NOT NULL,
        PRIMARY KEY (name),
        CHECK (program IN ('remote-viewer', 'xfreerdp', 'rdesktop'))
    )
    """,
    """
    CREATE TABLE hosts (
        name TEXT NOT NULL,
        memory_reserve_mib INTEGER NOT NULL,
        disk_reserve_mib INTEGER NOT NULL,
        starts_at_once INTEGER,
        max_guests INTEGER,
        in_service INTEGER NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (name),
        CHECK (in_service IN (0, 1))
    )
    """,
    """
    CREATE TABLE images (
        name TEXT NOT NULL,
        published INTEGER,
        note TEXT NOT NULL,
        PRIMARY KEY (name),
        FOREIGN KEY(name, published) REFERENCES versions (image, number) DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
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
        PRIMARY KEY (image, number),
        CHECK (format IN ('qcow2', 'raw')),
        CHECK (stage IN ('draft', 'tested', 'published', 'retired')),
        CHECK (number >= 1),
        FOREIGN KEY(image, parent) REFERENCES versions (image, number),
        FOREIGN KEY(image) REFERENCES images (name),
        UNIQUE (file)
    )
    """,
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
        PRIMARY KEY (name),
        CHECK (firmware IN ('bios', 'uefi')),
        CHECK (machine IN ('q35', 'pc')),
        CHECK (clock IN ('utc', 'localtime')),
        CHECK (nic IN ('virtio', 'e1000', 'rtl8139')),
        CHECK (sound IN ('none', 'hda', 'ac97')),
        CHECK (video IN ('std', 'virtio', 'qxl')),
        CHECK (protocol IN ('rdp', 'spice')),
        CHECK (mode IN ('snapshot', 'administrative')),
        CHECK (active IN (0, 1))
    )
    """,
    """
    CREATE TABLE profile_slots (
        profile TEXT NOT NULL,
        place INTEGER NOT NULL,
        kind TEXT NOT NULL,
        bus TEXT NOT NULL,
        image TEXT,
        version INTEGER,
        PRIMARY KEY (profile, place),
        CHECK (kind IN ('disk', 'cdrom', 'empty')),
        CHECK (bus IN ('ide', 'sata', 'scsi', 'virtio')),
        FOREIGN KEY(image, version) REFERENCES versions (image, number),
        FOREIGN KEY(profile) REFERENCES profiles (name) ON DELETE CASCADE,
        FOREIGN KEY(image) REFERENCES images (name)
    )
    """,
    """
    CREATE TABLE profile_labs (
        profile TEXT NOT NULL,
        lab TEXT NOT NULL,
        PRIMARY KEY (profile, lab),
        FOREIGN KEY(profile) REFERENCES profiles (name) ON DELETE CASCADE,
        FOREIGN KEY(lab) REFERENCES labs (name)
    )
    """,
    """
    CREATE TABLE terminals (
        name TEXT NOT NULL,
        lab TEXT NOT NULL,
        seat INTEGER NOT NULL,
        mac TEXT,
        inventory_id TEXT,
        terminal_class TEXT NOT NULL,
        profile TEXT,
        parameters TEXT NOT NULL,
        active INTEGER NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (name),
        UNIQUE (lab, seat),
        CHECK (active IN (0, 1)),
        CHECK (seat >= 1),
        FOREIGN KEY(lab) REFERENCES labs (name),
        UNIQUE (mac),
        UNIQUE (inventory_id),
        FOREIGN KEY(terminal_class) REFERENCES classes (name),
        FOREIGN KEY(profile) REFERENCES profiles (name)
    )
    """,
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
        PRIMARY KEY (name),
        UNIQUE (lab, seat),
        CHECK (wish IN ('running', 'stopped')),
        CHECK (state IN ('wanted', 'starting', 'running', 'connected', 'paused', 'silent', 'stopping', 'stopped', 'failed')),
        CHECK (stop_how IN ('shutdown', 'stop', 'kill')),
        CHECK (generation >= 1),
        FOREIGN KEY(lab) REFERENCES labs (name),
        FOREIGN KEY(terminal) REFERENCES terminals (name) ON DELETE SET NULL,
        FOREIGN KEY(profile) REFERENCES profiles (name),
        UNIQUE (run),
        FOREIGN KEY(host) REFERENCES hosts (name)
    )
    """,
    """
    CREATE TABLE guest_disks (
        guest TEXT NOT NULL,
        place INTEGER NOT NULL,
        image TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (guest, place),
        FOREIGN KEY(image, version) REFERENCES versions (image, number),
        FOREIGN KEY(guest) REFERENCES guests (name) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE strangers (
        id TEXT NOT NULL,
        code TEXT NOT NULL,
        mac TEXT,
        address TEXT,
        first_seen TEXT NOT NULL,
        last_seen TEXT NOT NULL,
        asked INTEGER NOT NULL,
        says TEXT NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (code)
    )
    """,
    """
    CREATE TABLE heartbeats (
        terminal TEXT NOT NULL,
        at TEXT NOT NULL,
        viewer TEXT NOT NULL,
        viewer_exit INTEGER,
        viewer_seconds INTEGER,
        kiosk TEXT NOT NULL,
        error TEXT NOT NULL,
        PRIMARY KEY (terminal),
        FOREIGN KEY(terminal) REFERENCES terminals (name) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE history (
        number INTEGER NOT NULL,
        at TEXT NOT NULL,
        subject TEXT NOT NULL,
        what TEXT NOT NULL,
        PRIMARY KEY (number)
    )
    """,
    "CREATE INDEX history_of_subject ON history (subject, number)",
    """
    CREATE TABLE facts (
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (name)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
