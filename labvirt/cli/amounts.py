# SPDX-License-Identifier: MIT
"""Bytes, seconds and moments as people read them, and sizes as people write them. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from labvirt.errors import InvalidInput

_SIZE = re.compile(r"([1-9][0-9]{0,6})(\.[0-9])?([kmgt])(?:i?b)?\Z", re.ASCII | re.IGNORECASE)
_POWER = {"k": 1, "m": 2, "g": 3, "t": 4}


def size(count: float) -> str:
    """'512 B', '13 MiB', '2.1 GiB': powers of 1024."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1023.5:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def parse_size(value: str, field: str) -> int:
    """'20G', '512M', '1.5T' (also with 'iB' or 'B' behind) -> bytes. Raises InvalidInput."""
    match = _SIZE.match(value)
    if match is None:
        raise InvalidInput(field, "must be a number with K, M, G or T behind it", hint="20G is 20 * 1024 * 1024 * 1024 bytes.")
    return int(float(match[1] + (match[2] or "")) * 1024 ** _POWER[match[3].lower()])


def duration(seconds: float) -> str:
    """'12 s', '3 min 20 s', '2 h 5 min', '3 d 4 h'; a part of a second counts as none."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    for most, unit, rest, small in ((days, "d", hours % 24, "h"), (hours, "h", minutes % 60, "min"), (minutes, "min", whole % 60, "s")):
        if most:
            return f"{most} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def moment(at: datetime | None) -> str:
    """Empty when it never was."""
    return f"{at:%F %T}" if at else ""


def counted(number: int, one: str, many: str = "") -> str:
    """'1 guest', '3 guests'."""
    return f"{number} {one if number == 1 else many or one + 's'}"
