# SPDX-License-Identifier: MIT
"""Pictures of results: one SVG a benchmark, bars of medians with whiskers to p99, the targets as lines. No library; text stays text.

They are read on light and on dark pages: colours follow the reader's, and nothing is told by colour alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
"""A record as JSON (record.py)."""

WIDTH, LEFT, RIGHT = 860, 320, 90
BAR, GAP, HEAD, GROUP = 18, 6, 28, 14
LOG_FROM = 10.0
"""Bars that differ by more than this factor are drawn on a logarithmic scale."""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2833; }
.title { font-weight: 600; } .small { font-size: 11px; fill: #4d5b66; }
.ours { fill: #1f6fb2; } .other { fill: #9aa7b1; } .line { stroke: #1c2833; stroke-width: 1.5; fill: none; }
.target { stroke: #b3261e; stroke-width: 2; stroke-dasharray: 5 3; } .wanted { font-size: 11px; fill: #b3261e; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6ebef; } .small { fill: #aab6bf; } .line { stroke: #e6ebef; }
  .ours { fill: #5aa7e6; } .other { fill: #66737d; } .target { stroke: #ff8a80; } .wanted { fill: #ff8a80; }
}
"""


def write(rows: Sequence[Row], folder: Path) -> list[Path]:
    """bench-ID.svg in the folder for each benchmark; those of one benchmark (B1, B1-first) share a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, group in grouped(rows).items():
        file = folder / f"bench-{name}.svg"
        file.write_text(draw(name, group), encoding="utf-8")
        written.append(file)
    return written


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """By the part of the id before '-'."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(re.split("-", row["id"], maxsplit=1)[0], []).append(row)
    return found


def draw(name: str, rows: Sequence[Row]) -> str:
    """The picture. Each record has a scale of its own, for their units differ."""
    parts: list[str] = []
    top = GAP
    for row in rows:
        drawn, height = _record(row, top)
        parts += drawn
        top += height + GROUP
    said = "; ".join(f"{row['id']}: {row['what']}" for row in rows)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" aria-label="{escape(name)}. {escape(said)}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _record(row: Row, top: int) -> tuple[list[str], int]:
    bars = [(row["name"], row["ours"], "ours"), *((each["name"], each, "other") for each in row["baselines"])]
    lines = [(target, value) for target in row["targets"] if (value := _where(target, row)) is not None]
    scale = Scale([bar["median"] for _, bar, _ in bars] + [bar["p99"] for _, bar, _ in bars] + [value for _, value in lines])
    marked = {True: " - met", False: " - missed", None: ""}[row["met"]] + (" (quick run)" if row["quick"] and row["targets"] else "")
    title = f"{row['id']}: {row['what']}, {row['unit']}{', logarithmic' if scale.log else ''}{marked}"
    parts = [f'<text class="title" x="8" y="{top + 14}">{escape(title)}</text>']
    y = top + HEAD
    for label, bar, kind in bars:
        end, far = scale.x(bar["median"]), scale.x(bar["p99"])
        middle = y + BAR / 2
        parts += [
            f'<text x="{LEFT - 8}" y="{middle + 4.5:g}" text-anchor="end">{escape(label)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{max(1.0, end - LEFT):.1f}" height="{BAR}"/>',
            f'<path class="line" d="M{end:.1f} {middle:g}H{far:.1f}M{far:.1f} {middle - 5:g}v10"/>',
            f'<text class="small" x="{max(end, far) + 6:.1f}" y="{middle + 4:g}">{number(bar["median"])}</text>',
        ]
        y += BAR + GAP
    for target, value in lines:
        x = scale.x(value)
        parts.append(f'<path class="target" d="M{x:.1f} {top + HEAD - 4}V{y}"/>')
        parts.append(f'<text class="wanted" x="8" y="{y + 11}">target: {escape(target["words"])}</text>')
        y += 15
    return parts, y - top


def _where(target: Row, row: Row) -> float | None:
    """Where on the record's scale ours would just reach the target. None when that cannot be said."""
    if target["baseline"] is None:
        return float(target["value"])
    median = next(float(each["median"]) for each in row["baselines"] if each["name"] == target["baseline"])
    where = median / target["value"] if target["figure"] == "baseline / ours" else median * target["value"]
    return where if math.isfinite(where) else None


class Scale:
    """From a value to where it lies. Logarithmic when the values differ much, and none is 0."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        self.log = low > 0 and high / low > LOG_FROM
        self._high = high or 1.0
        self._low = low / 2 if self.log else 0.0

    def x(self, value: float) -> float:
        room = WIDTH - LEFT - RIGHT
        if not self.log:
            return LEFT + room * value / self._high
        return LEFT + room * math.log(value / self._low) / math.log(self._high / self._low)


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
