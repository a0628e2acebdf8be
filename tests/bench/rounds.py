# SPDX-License-Identifier: MIT
"""Flows that are compared take turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

Once = Callable[[int], Mapping[str, float]]
"""One repetition, given its number; what was measured, by name of the measure."""


def interleave(flows: Mapping[str, Once], count: int, *, warm_up: int = 1) -> dict[str, dict[str, list[float]]]:
    """Measure -> flow -> its `count` values. Each round begins with another flow; `warm_up` rounds before are thrown away."""
    found: dict[str, dict[str, list[float]]] = {}
    names = list(flows)
    for number in range(warm_up + count):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            measured = flows[name](number)
            if number < warm_up:
                continue
            for measure, value in measured.items():
                found.setdefault(measure, {each: [] for each in names})[name].append(value)
        if count < 100:
            say(f"  round {number + 1 - warm_up} of {count}" if number >= warm_up else "  warm-up")
    return {measure: {name: values for name, values in by_flow.items() if values} for measure, by_flow in found.items()}


def say(text: str) -> None:
    """Progress, for people who wait: stdout is for the results."""
    print(text, file=sys.stderr, flush=True)
