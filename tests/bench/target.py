# SPDX-License-Identifier: MIT
"""What a number is to reach: of which figure, in which direction, how far. Pure."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.bench.summary import Summary, ratio


class Figure(StrEnum):
    """Which number is judged."""

    MEDIAN = "median"
    P99 = "p99"
    TIMES_OURS = "baseline / ours"
    """How many times ours the baseline is (medians)."""
    TIMES_BASELINE = "ours / baseline"
    """How many times the baseline ours is (medians)."""


COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`figure` `comparison` `value`; `baseline` names what is compared, for the two ratios. Raises ValueError when it is none."""

    figure: Figure
    comparison: str
    value: float
    baseline: str = ""

    def __post_init__(self) -> None:
        if self.comparison not in COMPARISONS:
            raise ValueError(f"{self.comparison} is no comparison: {', '.join(COMPARISONS)}")
        if bool(self.baseline) is not (self.figure in (Figure.TIMES_OURS, Figure.TIMES_BASELINE)):
            raise ValueError("a ratio names its baseline, and nothing else does")

    def found(self, ours: Summary, baselines: Mapping[str, Summary]) -> float:
        """The number that is judged."""
        if self.figure is Figure.TIMES_OURS:
            return ratio(baselines[self.baseline], ours)
        if self.figure is Figure.TIMES_BASELINE:
            return ratio(ours, baselines[self.baseline])
        return ours.p99 if self.figure is Figure.P99 else ours.median

    def met(self, ours: Summary, baselines: Mapping[str, Summary]) -> bool:
        return bool(COMPARISONS[self.comparison](self.found(ours, baselines), self.value))

    def words(self, unit: str) -> str:
        """As a person says it."""
        if self.figure is Figure.TIMES_OURS:
            return f"{self.baseline} {self.comparison} {self.value:g} x ours"
        if self.figure is Figure.TIMES_BASELINE:
            return f"ours {self.comparison} {self.value:g} x {self.baseline}"
        return f"{self.figure} {self.comparison} {self.value:g} {unit}"

    def as_json(self, unit: str, ours: Summary, baselines: Mapping[str, Summary]) -> dict[str, Any]:
        return {
            "words": self.words(unit),
            "figure": self.figure.value,
            "baseline": self.baseline or None,
            "comparison": self.comparison,
            "value": self.value,
            "found": self.found(ours, baselines),
            "met": self.met(ours, baselines),
        }


def at_most(value: float, *, p99: bool = False) -> Target:
    """Our median (or p99) is to be no more than this."""
    return Target(figure=Figure.P99 if p99 else Figure.MEDIAN, comparison="<=", value=value)


def below(value: float, *, p99: bool = False) -> Target:
    return Target(figure=Figure.P99 if p99 else Figure.MEDIAN, comparison="<", value=value)


def at_least(value: float) -> Target:
    """Our median is to be no less than this."""
    return Target(figure=Figure.MEDIAN, comparison=">=", value=value)


def times_better(value: float, baseline: str) -> Target:
    """The baseline's median is to be so many times ours, or more."""
    return Target(figure=Figure.TIMES_OURS, comparison=">=", value=value, baseline=baseline)


def at_most_times(value: float, baseline: str) -> Target:
    """Our median is to be no more than so many times the baseline's."""
    return Target(figure=Figure.TIMES_BASELINE, comparison="<=", value=value, baseline=baseline)
