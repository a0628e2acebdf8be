# SPDX-License-Identifier: MIT
"""Which benchmarks there are, what each is about, and how often it repeats. Nothing heavy is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """`run` is given the number of repetitions and whether it has to be quick."""

    id: str
    about: str
    repeat: int
    quick: int
    run: Callable[[int, bool], list[Record]]


def _start(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import cold_start

    return cold_start.measure(repeat)


def _crowd(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import crowd

    return crowd.measure(12 if quick else 40, repeat)


def _storm(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import storm

    return storm.measure(200 if quick else 1000, repeat)


def _overlay(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import overlay_file

    return overlay_file.measure(repeat)


def _port(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import port

    return port.measure(repeat)


BENCHMARKS = (
    Benchmark(
        id="A1",
        about="(with A2) a terminal's question to guest running and answering, beside overlay or full copy + virsh create",
        repeat=15,
        quick=3,
        run=_start,
    ),
    Benchmark(
        id="A3",
        about="40 terminals (quick: 12) ask at once: guests running, answering, with address; memory; beside virsh create",
        repeat=1,
        quick=1,
        run=_crowd,
    ),
    Benchmark(
        id="A4",
        about="1,000 terminals (quick: 200) ask the config endpoint at once; beside a server of fixed bytes",
        repeat=10,
        quick=2,
        run=_storm,
    ),
    Benchmark(id="A5-overlay", about="(with A5-run) an overlay in process beside qemu-img create -b", repeat=200, quick=20, run=_overlay),
    Benchmark(id="A5-plug", about="(with A5-unplug) a TAP with filters beside ip commands", repeat=100, quick=10, run=_port),
)


def chosen(only: list[str]) -> tuple[Benchmark, ...]:
    """Those whose id is one of `only` or begins with it ('A5'), all without. 'A2' means A1, which measures it. Raises ValueError."""
    if not only:
        return BENCHMARKS
    found = []
    for wanted in only:
        name = "A1" if wanted.upper() == "A2" else wanted
        matching = [each for each in BENCHMARKS if each.id.lower().startswith(name.lower())]
        if not matching:
            raise ValueError(f"there is no benchmark {wanted}; known: {', '.join(each.id for each in BENCHMARKS)}")
        found += [each for each in matching if each not in found]
    return tuple(found)
