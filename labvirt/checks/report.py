# SPDX-License-Identifier: MIT
"""The lines that the checks' process reports (inside/plugin.py) become steps. Believes nothing: what is not said is not ok."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from labvirt.domain.canary import CanaryStep
from labvirt.domain.names import one_line

REPORT_BYTES = 4 << 20
STEPS = 500
NAME_LENGTH = 160
SAID_LENGTH = 500


@dataclass(slots=True)
class _Seen:
    collected: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    done: dict[str, CanaryStep] = field(default_factory=dict)


def parse(raw: bytes, names: Sequence[str], ended: str) -> tuple[CanaryStep, ...]:
    """One step per item, in order; one for a file that cannot be loaded or holds no check. `ended` says how the process ended when
    that was not as it should be (empty: it was)."""
    seen = _Seen()
    for line in raw.split(b"\n"):
        try:
            words = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(words, dict):
            _take(seen, words)
    steps = []
    for name in names:
        own = [item for item in seen.collected if _of(item, name)]
        broken = next((said for item, said in seen.broken.items() if _of(item, name)), None)
        if broken is not None:
            steps.append(CanaryStep(name=f"check {name}", ok=False, said=f"cannot be loaded: {broken}"))
        elif not own:
            steps.append(CanaryStep(name=f"check {name}", ok=False, said=ended or "there is no check in it"))
        steps += [seen.done.get(item) or _unfinished(item, seen, ended) for item in own]
    return tuple(steps[:STEPS])


def _take(seen: _Seen, words: dict[str, object]) -> None:
    collected = words.get("collected")
    if isinstance(collected, list) and not seen.collected:
        seen.collected = list(dict.fromkeys(str(each) for each in _first(collected)))
    if isinstance(words.get("broken"), str):
        seen.broken[str(words["broken"])] = one_line(str(words.get("said", "")), SAID_LENGTH)
    if isinstance(words.get("begun"), str):
        seen.begun.add(str(words["begun"]))
    item, seconds = words.get("done"), words.get("seconds")
    if isinstance(item, str) and len(seen.done) < STEPS:
        fair = isinstance(seconds, int | float) and 0 <= seconds < 1e6
        seen.done[item] = CanaryStep(
            name=_name(item),
            ok=words.get("ok") is True,
            said=one_line(str(words.get("said", "")), SAID_LENGTH),
            seconds=float(seconds) if fair and isinstance(seconds, int | float) else 0.0,
        )


def _first(items: Iterable[object]) -> list[object]:
    return [item for _, item in zip(range(STEPS), items, strict=False)]


def _of(item: str, name: str) -> bool:
    return item.split("::", 1)[0].rsplit("/", 1)[-1] == name


def _name(item: str) -> str:
    return f"check {one_line(item.rsplit('/', 1)[-1] if '::' not in item else item, NAME_LENGTH)}"


def _unfinished(item: str, seen: _Seen, ended: str) -> CanaryStep:
    why = ended or "the process ended"
    return CanaryStep(name=_name(item), ok=False, said=f"{why} while it ran" if item in seen.begun else f"was not run: {why}")
