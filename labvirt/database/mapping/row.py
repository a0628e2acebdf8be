# SPDX-License-Identifier: MIT
"""What a row is, the texts in its columns, and the memory of the values that were made of rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

Row = Mapping[str, Any]
"""Column -> value, as read or to be written."""

T = TypeVar("T")

KEPT = 1000
"""Values of one kind; more, and all are made anew."""


def kept(make: Callable[..., T]) -> Callable[..., T]:
    """For what is read a thousand times as often as it changes: the same rows give the value that was made (and checked)
    of them before. Values are frozen, so nothing can go stale.
    """
    known: dict[object, T] = {}

    @wraps(make)
    def of(row: Row, *parts: Iterable[Row]) -> T:
        key = (*row.items(), *(tuple(tuple(each.items()) for each in part) for part in parts))
        value = known.get(key)
        if value is None:
            value = make(row, *parts)
            if len(known) >= KEPT:
                known.clear()
            known[key] = value
        return value

    return of


def time_text(value: datetime) -> str:
    """Sorts as text like the time itself. A time without a zone is a programmer's mistake."""
    if value.tzinfo is None:
        raise ValueError("a time must know its zone")
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def maybe_text(value: datetime | None) -> str | None:
    return None if value is None else time_text(value)


def maybe_time(text: str | None) -> datetime | None:
    return None if text is None else time_of(text)


def pairs_text(pairs: Iterable[tuple[str, str]]) -> str:
    return json.dumps([list(pair) for pair in pairs], ensure_ascii=False)


def pairs_of(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in json.loads(text))


def words_text(words: Iterable[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)


def words_of(text: str) -> tuple[str, ...]:
    return tuple(str(word) for word in json.loads(text))
