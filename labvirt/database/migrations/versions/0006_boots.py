# SPDX-License-Identifier: MIT
"""The last boots of each terminal, as time lines."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE boots (
            terminal TEXT NOT NULL,
            boot_id TEXT NOT NULL,
            at TEXT NOT NULL,
            phases TEXT NOT NULL,
            own TEXT NOT NULL,
            firmware_ms INTEGER,
            loader_ms INTEGER,
            image_from TEXT NOT NULL,
            image_bytes INTEGER,
            kernel_bytes INTEGER,
            initrd_bytes INTEGER,
            complete INTEGER NOT NULL,
            kiosk TEXT NOT NULL,
            PRIMARY KEY (terminal, boot_id),
            CHECK (image_from IN ('network', 'disk', '')),
            CHECK (complete IN (0, 1)),
            FOREIGN KEY(terminal) REFERENCES terminals (name) ON DELETE CASCADE
        )
        """
    )
