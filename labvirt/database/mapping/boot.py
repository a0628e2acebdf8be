# SPDX-License-Identifier: MIT
"""Boots of terminals."""

from __future__ import annotations

import json
from collections.abc import Iterable

from labvirt.database.mapping.row import Row, time_of, time_text
from labvirt.domain.boot import Boot


def boot_row(boot: Boot) -> Row:
    return {
        "terminal": boot.terminal,
        "boot_id": boot.boot_id,
        "at": time_text(boot.at),
        "phases": _text(boot.phases),
        "own": _text(boot.own),
        "firmware_ms": boot.firmware_ms,
        "loader_ms": boot.loader_ms,
        "image_from": boot.image_from,
        "image_bytes": boot.image_bytes,
        "kernel_bytes": boot.kernel_bytes,
        "initrd_bytes": boot.initrd_bytes,
        "complete": int(boot.complete),
        "kiosk": boot.kiosk,
    }


def boot_of(row: Row) -> Boot:
    return Boot(
        terminal=row["terminal"],
        boot_id=row["boot_id"],
        at=time_of(row["at"]),
        phases=_pairs(row["phases"]),
        own=_pairs(row["own"]),
        firmware_ms=row["firmware_ms"],
        loader_ms=row["loader_ms"],
        image_from=row["image_from"],
        image_bytes=row["image_bytes"],
        kernel_bytes=row["kernel_bytes"],
        initrd_bytes=row["initrd_bytes"],
        complete=bool(row["complete"]),
        kiosk=row["kiosk"],
    )


def _text(pairs: Iterable[tuple[str, int]]) -> str:
    return json.dumps([list(pair) for pair in pairs])


def _pairs(text: str) -> tuple[tuple[str, int], ...]:
    return tuple((str(name), int(ms)) for name, ms in json.loads(text))
