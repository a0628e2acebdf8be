# SPDX-License-Identifier: MIT
"""Many deeds in threads: all at once, or a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")


def all_at_once(deeds: Sequence[Callable[[], Found]]) -> list[Found]:
    """What each gave, in order. Raises what the first that failed raised, when all have ended."""
    return some_at_once(deeds, len(deeds))


def some_at_once(deeds: Sequence[Callable[[], Found]], count: int) -> list[Found]:
    """The same with `count` threads."""
    with ThreadPoolExecutor(count) as pool:
        return [each.result() for each in [pool.submit(deed) for deed in deeds]]
