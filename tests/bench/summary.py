# SPDX-License-Identifier: MIT
"""Numbers out of many measured values: median, p99, ratio. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """`p99` is by nearest rank: with fewer than 100 values it is the largest one."""

    median: float
    p99: float
    n: int


def summarise(values: Sequence[float]) -> Summary:
    """Raises ValueError without any value."""
    return Summary(median=percentile(values, 50), p99=percentile(values, 99), n=len(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that at least `percent` of all values do not exceed; the median of an even number of values
    is the mean of the two in the middle. Raises ValueError without any value."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    if percent == 50 and len(ordered) % 2 == 0:
        middle = len(ordered) // 2
        return (ordered[middle - 1] + ordered[middle]) / 2
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(baseline: Summary, ours: Summary) -> float:
    """How many times ours the baseline's median is: above 1, ours is smaller. Infinite when ours is 0."""
    return baseline.median / ours.median if ours.median else math.inf
