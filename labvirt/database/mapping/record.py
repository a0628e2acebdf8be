# SPDX-License-Identifier: MIT
"""What is only noted: heartbeats."""

from __future__ import annotations

from labvirt.contracts.database import Heartbeat
from labvirt.database.mapping.row import Row, time_of, time_text


def heartbeat_row(beat: Heartbeat) -> Row:
    return {
        "terminal": beat.terminal,
        "at": time_text(beat.at),
        "viewer": beat.viewer,
        "viewer_exit": beat.viewer_exit,
        "viewer_seconds": beat.viewer_seconds,
        "kiosk": beat.kiosk,
        "error": beat.error,
    }


def heartbeat_of(row: Row) -> Heartbeat:
    return Heartbeat(
        terminal=row["terminal"],
        at=time_of(row["at"]),
        viewer=row["viewer"],
        viewer_exit=row["viewer_exit"],
        viewer_seconds=row["viewer_seconds"],
        kiosk=row["kiosk"],
        error=row["error"],
    )
