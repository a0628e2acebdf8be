# SPDX-License-Identifier: MIT
"""One line of results: ours beside baselines that were measured in the same run, and what it was to reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.summary import Summary, ratio, summarise
from tests.bench.target import Target


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
    targets: tuple[Target, ...] = ()
    """All of them are to be met."""

    @property
    def met(self) -> bool | None:
        """None where nobody set a target."""
        return all(each.met(self.ours, self.baselines) for each in self.targets) if self.targets else None

    @property
    def target(self) -> str | None:
        """In words."""
        return "; ".join(each.words(self.unit) for each in self.targets) or None

    def as_json(self, *, quick: bool = False) -> dict[str, Any]:
        """`baseline` and `ratio`: the one that the target is about, else the first. `quick`: its counts were small, so `met` is only a
        hint."""
        named = next((each.baseline for each in self.targets if each.baseline), next(iter(self.baselines), None))
        return {
            "id": self.id,
            "what": self.what,
            "unit": self.unit,
            "name": self.name,
            "ours": _json(self.ours),
            "baseline": {"name": named, **_json(self.baselines[named])} if named else None,
            "ratio": ratio(self.baselines[named], self.ours) if named else None,
            "baselines": [{"name": name, **_json(found), "ratio": ratio(found, self.ours)} for name, found in self.baselines.items()],
            "target": self.target,
            "targets": [each.as_json(self.unit, self.ours, self.baselines) for each in self.targets],
            "met": self.met,
            "quick": quick,
            "notes": list(self.notes),
        }


def record(
    id: str,
    what: str,
    unit: str,
    values: Mapping[str, Sequence[float]],
    *,
    ours: str = "ours",
    notes: Sequence[str] = (),
    targets: Sequence[Target] = (),
) -> Record:
    """Out of the values of each flow; `ours` names ours, all others are baselines. Raises KeyError for a target's baseline that is none."""
    found = {name: summarise(each) for name, each in values.items()}
    name = "LabVirt" if ours == "ours" else ours
    mine = found.pop(ours)
    for target in targets:
        target.found(mine, found)
    return Record(id=id, what=what, unit=unit, ours=mine, baselines=found, notes=tuple(notes), name=name, targets=tuple(targets))


def render(records: Sequence[Record], *, quick: bool = False) -> str:
    """A table for people: Markdown, so that it can be pasted into a page as it is."""
    rows = [("id", "what", "unit", "who", "median", "p99", "n", "median, times ours", "target", "met")]
    for each in records:
        rows.append((each.id, each.what, each.unit, each.name, *_cells(each.ours), "1", each.target or "", _met(each, quick)))
        for name, found in each.baselines.items():
            rows.append(("", "", "", name, *_cells(found), _number(ratio(found, each.ours)), "", ""))
    if not any(each.targets for each in records):
        rows = [row[:-2] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _met(each: Record, quick: bool) -> str:
    """A quick run has small counts, which targets are not about: what it says is marked."""
    word = {None: "", True: "yes", False: "no"}[each.met]
    return f"{word} (quick: a hint)" if quick and word else word


def _cells(found: Summary) -> tuple[str, str, str]:
    return _number(found.median), _number(found.p99), str(found.n)


def _number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _json(found: Summary) -> dict[str, Any]:
    return {"median": found.median, "p99": found.p99, "n": found.n}
