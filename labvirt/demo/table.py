# SPDX-License-Identifier: MIT
"""The demo's table, and its report for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.table import Table

from labvirt.demo.seat import SeatWatch


def table(seats: Sequence[SeatWatch], page: str) -> Table:
    """One row a seat, with what an onlooker sees; fits 80 columns."""
    drawn = Table(title="LabVirt demo", caption=f"With pictures: {page}\nCtrl-C removes everything", box=box.SIMPLE, padding=(0, 1))
    for name, width in (("seat", 4), ("guest", 7), ("address", 11), ("lease", 5), ("viewer", 8), ("ready", 6), ("answers", 7)):
        drawn.add_column(name, no_wrap=True, min_width=width)
    drawn.add_column("state", overflow="ellipsis", no_wrap=True, min_width=10)
    for watch in seats:
        seen, expected = watch.seen, watch.expected
        drawn.add_row(
            str(expected.seat),
            expected.guest,
            str(expected.address),
            "seen" if seen.lease_seen else "-",
            ("shows it" if seen.screenshot else "open") if seen.viewer_connected else "-",
            _seconds(seen.kiosk.asked_at, seen.kiosk.ready_at),
            f"{seen.guest_answers_ms / 1000:.1f} s" if seen.guest_answers_ms is not None else "-",
            seen.kiosk.message or seen.kiosk.state,
        )
    return drawn


def report(seats: Sequence[SeatWatch], accelerator: str, started: datetime) -> dict[str, Any]:
    """What --json writes: stable keys (docs/reference/command-line.md)."""
    rows = [
        {
            "seat": watch.expected.seat,
            "guest": watch.expected.guest,
            "mac": watch.expected.mac,
            "address": str(watch.expected.address),
            "lease_seen": watch.seen.lease_seen,
            "name_resolves": watch.seen.name_resolves,
            "guest_answers_ms": watch.seen.guest_answers_ms,
            "viewer_connected": watch.seen.viewer_connected,
            "screenshot": str(watch.seen.screenshot) if watch.seen.screenshot else None,
            "screen_shows": watch.seen.shows or None,
            "kiosk_says": watch.seen.kiosk.message,
        }
        for watch in seats
    ]
    return {
        "ok": bool(seats) and all(watch.seen.holds for watch in seats),
        "accelerator": accelerator,
        "started_at": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
        "seats": rows,
    }


def _seconds(start: datetime | None, end: datetime | None) -> str:
    return f"{(end - start).total_seconds():.1f} s" if start and end and end >= start else "-"
