# SPDX-License-Identifier: MIT
"""One line of results: ours beside baselines that were measured in the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.summary import Summary, ratio, summarise


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`baselines` by name. `notes` say what the numbers do not."""

    id: str
    what: str
    unit: str
    ours: Summary
    baselines: Mapping[str, Summary]
    notes: tuple[str, ...] = ()
    name: str = "LabVirt"
    """What `ours` is called."""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "what": self.what,
            "unit": self.unit,
            "name": self.name,
            "ours": _json(self.ours),
            "baselines": [{"name": name, **_json(found), "ratio": ratio(found, self.ours)} for name, found in self.baselines.items()],
            "notes": list(self.notes),
        }


def record(
    id: str, what: str, unit: str, values: Mapping[str, Sequence[float]], *, ours: str = "ours", notes: Sequence[str] = ()
) -> Record:
    """Out of the values of each flow; `ours` names ours, all others are baselines."""
    found = {name: summarise(each) for name, each in values.items()}
    name = "LabVirt" if ours == "ours" else ours
    return Record(id=id, what=what, unit=unit, ours=found.pop(ours), baselines=found, notes=tuple(notes), name=name)


def render(records: Sequence[Record]) -> str:
    """A table for people: Markdown, so that it can be pasted into a page as it is."""
    rows = [("id", "what", "unit", "who", "median", "p99", "n", "median, times ours")]
    for each in records:
        rows.append((each.id, each.what, each.unit, each.name, *_cells(each.ours), "1"))
        rows += [("", "", "", name, *_cells(found), _number(ratio(found, each.ours))) for name, found in each.baselines.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(found: Summary) -> tuple[str, str, str]:
    return _number(found.median), _number(found.p99), str(found.n)


def _number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _json(found: Summary) -> dict[str, Any]:
    return {"median": found.median, "p99": found.p99, "n": found.n}
