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


def _clone(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import instant_clone

    return instant_clone.measure(repeat)


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


def _publish_file(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import publish_file

    if quick:
        return publish_file.measure(64, 8, repeat, warm_up=0)
    return publish_file.measure(2048, 50, repeat, warm_up=1)


def _chain(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import chain_depth

    return chain_depth.measure((1, 4) if quick else (1, 2, 4, 8), repeat, warm_up=0 if quick else 1)


def _publish(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import publish_job

    return publish_job.measure(repeat, warm_up=0 if quick else 1)


def _boot_fetch(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import boot_fetch

    return boot_fetch.measure(20 if quick else 167, repeat)


def _open_pages(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import open_pages

    if quick:
        return open_pages.measure(40, 4, 30, 3, repeat, 10)
    return open_pages.measure(300, 30, 300, 30, repeat, 50)


BENCHMARKS = (
    Benchmark(
        id="A1",
        about="(with A2) a terminal's question to guest running and answering, beside overlay or full copy + virsh create",
        repeat=15,
        quick=3,
        run=_start,
    ),
    Benchmark(
        id="I1",
        about="(with I2, I3) a terminal's question to an instant clone running, answering and with address, beside booting, beside virsh",
        repeat=15,
        quick=3,
        run=_clone,
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
    Benchmark(
        id="A5-overlay", about="(with A5-run, A5-first) an overlay in process beside qemu-img create -b", repeat=200, quick=20, run=_overlay
    ),
    Benchmark(id="A5-plug", about="(with A5-unplug) a TAP with filters beside ip commands", repeat=100, quick=10, run=_port),
    Benchmark(
        id="P1",
        about="a 2 GiB image (quick: 64 MiB) with 50 MiB (8 MiB) changed becomes a version: layer, reflink, flatten, beside qemu-img",
        repeat=5,
        quick=1,
        run=_publish_file,
    ),
    Benchmark(
        id="P3",
        about="versions of 1, 2, 4 and 8 layers (quick: 1 and 4): making a run, starting a guest, reading 64 MiB",
        repeat=5,
        quick=1,
        run=_chain,
    ),
    Benchmark(
        id="B1",
        about="(with B1-crowd, B1-last) the kiosk's image of 167 MB (quick: 20 MB) to 1 and to 30 clients; what a wire needs, computed",
        repeat=5,
        quick=1,
        run=_boot_fetch,
    ),
    Benchmark(
        id="W1",
        about="pages of 300 seats in 30 labs while 300 browsers listen and 30 look at consoles (quick: 40, 4, 30, 3), beside nobody",
        repeat=4,
        quick=1,
        run=_open_pages,
    ),
    Benchmark(
        id="P4", about="publishing an admin session's draft with its canary, the whole job, by steps", repeat=5, quick=1, run=_publish
    ),
)

MEASURED_BY = {"A2": "A1", "I2": "I1", "I3": "I1", "P2": "A5-overlay"}
"""Names that another benchmark stands for."""


def chosen(only: list[str]) -> tuple[Benchmark, ...]:
    """Those whose id is one of `only` or begins with it ('A5'), all without; or what stands for it (MEASURED_BY). Raises ValueError."""
    if not only:
        return BENCHMARKS
    found = []
    for wanted in only:
        name = MEASURED_BY.get(wanted.upper(), wanted)
        matching = [each for each in BENCHMARKS if each.id.lower().startswith(name.lower())]
        if not matching:
            raise ValueError(f"there is no benchmark {wanted}; known: {', '.join(each.id for each in BENCHMARKS)}")
        found += [each for each in matching if each not in found]
    return tuple(found)
