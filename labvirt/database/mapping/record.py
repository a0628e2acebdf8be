# SPDX-License-Identifier: MIT
"""What is only noted: heartbeats and history."""

from __future__ import annotations

from labvirt.contracts.database import Heartbeat, HistoryEntry
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


def entry_row(entry: HistoryEntry) -> Row:
    return {"at": time_text(entry.at), "subject": entry.subject, "what": entry.what}


def entry_of(row: Row) -> HistoryEntry:
    return HistoryEntry(at=time_of(row["at"]), subject=row["subject"], what=row["what"])
