# SPDX-License-Identifier: MIT
"""The page of a lab's boots in plain values: bars for the picture, rows for who reads. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low

from labvirt.domain.boot import OWN, PHASES, Part
from labvirt.usecases.boots import BootView, LabBoots

HOUR_MS = 3600 * 1000
WIDTH = 1000
"""Units of the SVG's view box: the browser stretches it to the room it has."""
STAGES = {
    "firmware": "firmware, boot loader",
    "kernel": "kernel, drivers",
    "network": "address",
    "image": "image",
    "system": "system",
    "screen": "screen",
    "kiosk": "kiosk program",
    "guest": "guest",
    "viewer": "viewer",
}
assert {stage for stage, _ in PHASES.values()} | {"firmware"} == set(STAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    x: float
    width: float
    stage: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One terminal's last boot; without bars: it has told none."""

    terminal: str
    total: str
    words: str
    biggest: str
    told: str
    fetched: str
    bars: tuple[Bar, ...]
    own: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    lab: str
    boots: int
    lines: tuple[Line, ...]
    stages: tuple[tuple[str, str], ...]
    """Those that occur: their word and what it means."""
    scale: tuple[tuple[float, str], ...]
    """Places from 0 to WIDTH and their words."""
    rows: tuple[tuple[str, str, str, str, int], ...]
    """Part, median, worst, the terminal of the worst, boots."""


MOST_OF_MEDIAN = 4
"""A terminal that waited for days until it was adopted must not press the bars of all others together: the picture ends at so many
times the median, and so does that terminal's bar. Its words say all of it."""


def chart(found: LabBoots) -> Chart:
    totals = [view.line.total_ms for view in found.last if view.line.total_ms]
    longest = min(max(totals), MOST_OF_MEDIAN * median_low(totals)) if totals else 1
    step = _step(longest)
    used = {part.stage for view in found.last for part in view.line.parts}
    return Chart(
        lab=found.lab,
        boots=found.boots,
        lines=tuple(_line(view, longest) for view in found.last),
        stages=tuple((stage, words) for stage, words in STAGES.items() if stage in used),
        scale=tuple((round(WIDTH * ms / longest, 1), _mark(ms, step)) for ms in range(0, longest + 1, step)),
        rows=tuple(
            (part.label, seconds(part.median_ms), seconds(part.worst_ms), part.worst_terminal, part.boots) for part in found.summary
        ),
    )


def seconds(ms: float) -> str:
    return f"{ms / 1000:.1f} s"


def _line(view: BootView, longest: int) -> Line:
    boot, line = view.boot, view.line
    if boot is None or line.biggest is None:
        return Line(terminal=view.terminal, total="", words="no boot told yet", biggest="", told="", fetched="", bars=(), own=())
    bars = tuple(
        Bar(
            x=round(WIDTH * part.begin_ms / longest, 2),
            width=round(WIDTH * (min(part.end_ms, longest) - part.begin_ms) / longest, 2),
            stage=part.stage,
            words=_words(part),
        )
        for part in line.parts
        if part.begin_ms <= longest
    )
    fetched = boot.fetched_bytes
    return Line(
        terminal=view.terminal,
        total=seconds(line.total_ms),
        words=", ".join(_words(part) for part in line.parts),
        biggest=_words(line.biggest),
        told=f"{boot.at:%F %T} UTC" + ("" if boot.complete else ", not whole: no viewer was connected yet"),
        fetched=f"{fetched / 1e6:.0f} MB fetched" if fetched is not None else "",
        bars=bars,
        own=tuple(f"the controller saw at {seconds(ms)}: {OWN.get(what, what)}" for what, ms in boot.own),
    )


def _words(part: Part) -> str:
    return f"{part.label}: {seconds(part.ms)}"


def _step(longest: int) -> int:
    """About four marks, at whole seconds that people count in."""
    return next(
        (s * 1000 for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600) if s * 1000 * 5 > longest),
        -(-longest // HOUR_MS // 4) * HOUR_MS,
    )


def _mark(ms: int, step: int) -> str:
    return f"{ms // 1000} s" if step < HOUR_MS else f"{ms // HOUR_MS} h"
