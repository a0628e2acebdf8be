# SPDX-License-Identifier: MIT
"""The last hours of a host as small lines, and the same in words. Pure, but for the language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labvirt.web.past import Sample
from labvirt.web.ui.amounts import size
from labvirt.web.ui.language import gettext as _

WIDTH, HEIGHT = 360, 40
"""Units of the SVG's view box: the browser stretches it to the room it has."""
MIB = 1 << 20
LEAST_PERCENT = 10.0
"""Below this the top of the picture does not go: a quiet host is a low line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """`lines`: points of polylines, one for each stretch without a gap. `words` say what the picture shows."""

    name: str
    words: str
    lines: tuple[str, ...]


def sparks(samples: Sequence[Sample], *, guests: bool) -> tuple[Spark, ...]:
    """Of what is known at least twice. `guests`: also how many run, which tells of all labs."""
    loads = [each.load for each in samples if each.load]
    total = max((load.memory_total_mib for load in loads), default=1)
    made = [
        _spark(_("Memory in use"), samples, _memory, total, _mib),
        _spark(_("Processor pressure"), samples, _pressure, LEAST_PERCENT, _percent),
    ]
    if guests:
        made.append(_spark(_("Guests"), samples, lambda each: each.guests, 1, str))
    return tuple(each for each in made if each)


def _memory(sample: Sample) -> float | None:
    return sample.load.memory_total_mib - sample.load.memory_available_mib if sample.load else None


def _pressure(sample: Sample) -> float | None:
    return sample.load.cpu_pressure if sample.load else None


def _mib(value: float) -> str:
    return size(value * MIB)


def _percent(value: float) -> str:
    return f"{value:.1f} %"


def _spark(
    name: str, samples: Sequence[Sample], of: Callable[[Sample], float | None], top: float, words: Callable[[float], str]
) -> Spark | None:
    known = [(each, of(each)) for each in samples]
    values = [value for _each, value in known if value is not None]
    if len(values) < 2:
        return None
    top, first = max(top, *values), samples[0].at
    span = (samples[-1].at - first).total_seconds() or 1.0
    lines: list[list[str]] = [[]]
    for each, value in known:
        if value is None:
            lines.append([])
        else:
            x, y = (each.at - first).total_seconds() / span * WIDTH, HEIGHT - 1 - value / top * (HEIGHT - 2)
            lines[-1].append(f"{x:.1f},{y:.1f}")
    told = {"last": words(values[-1]), "least": words(min(values)), "most": words(max(values))}
    return Spark(
        name=name,
        words=_("last %(last)s, least %(least)s, most %(most)s") % told,
        lines=tuple(" ".join(line if line[1:] else line * 2) for line in lines if line),
    )
