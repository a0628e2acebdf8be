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

    return instant_clone.measure(repeat, warm_up=0 if quick else 1, copies=not quick)


def _lab_storm(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import lab_storm

    return lab_storm.measure(3 if quick else 24, repeat, settle=3 if quick else 8)


def _density(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import density

    return density.measure(8 if quick else 200, 8 if quick else 100, repeat)


def _taps(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import port

    return port.measure((10, 40) if quick else (10, 100, 1000), repeat)


def _growth(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import growth

    return growth.measure((20, 200) if quick else (100, 1000, 10000), repeat)


def _warm_pool(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import warm_pool

    return warm_pool.measure(repeat, warm_up=0 if quick else 1)


def _identity(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import identity_gate

    return identity_gate.measure(4 if quick else 100, 4 if quick else 50)


def _crowd(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import crowd

    return crowd.measure(12 if quick else 40, repeat)


def _storm(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import storm

    return storm.measure(100 if quick else 5000, repeat)


def _overlay(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import overlay_file

    return overlay_file.measure(repeat)


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


def _first_picture(repeat: int, quick: bool) -> list[Record]:
    from tests.bench import first_picture

    return first_picture.measure(repeat, warm_up=0 if quick else 1)


SUITE = (
    Benchmark(
        id="B1",
        about="(with B2) a terminal's question to an instant clone running and answering, beside the floor, QEMU and virsh create by hand",
        repeat=15,
        quick=1,
        run=_clone,
    ),
    Benchmark(
        id="B3",
        about="(with B4, B6) 24 clones (quick: 3) at once until all answer, their memory, reset to clean; beside QEMU and virsh",
        repeat=2,
        quick=1,
        run=_lab_storm,
    ),
    Benchmark(
        id="B5",
        about="(with B3-all) 100 clones at once, 200 live (quick: 8): memory, and how soon each answers a ping",
        repeat=3,
        quick=2,
        run=_density,
    ),
    Benchmark(id="B7", about="(with B7-run, B7-first) an overlay in process beside qemu-img create -b", repeat=200, quick=20, run=_overlay),
    Benchmark(
        id="B8",
        about="a TAP with filters is made, handed over and removed, among 10, 100 and 1,000 (quick: 10, 40); beside ip commands",
        repeat=40,
        quick=4,
        run=_taps,
    ),
    Benchmark(
        id="B9",
        about="5,000 terminals (quick: 100) ask the config endpoint, at once and over 2 s; beside plain servers of fixed bytes",
        repeat=3,
        quick=1,
        run=_storm,
    ),
    Benchmark(
        id="B11",
        about="100, 1,000 and 10,000 terminals (quick: 20, 200), fake hosts: question, look-up, list, restart, memory",
        repeat=200,
        quick=20,
        run=_growth,
    ),
    Benchmark(
        id="B12",
        about="a question whose seat has its next run waiting (process, loaded clone, running guest), beside a clone made when asked",
        repeat=15,
        quick=1,
        run=_warm_pool,
    ),
    Benchmark(
        id="B13", about="100 clones (quick: 4) of one template have nothing in common that they must not", repeat=1, quick=1, run=_identity
    ),
)
"""The suite of instant clones: what has targets (docs/benchmarks.md). B10 (DHCP) is not part of it."""

OTHERS = (
    Benchmark(
        id="V1",
        about="a terminal's question until its own screen shows its guest: boots, clone, a loaded clone waits, a running guest waits",
        repeat=5,
        quick=1,
        run=_first_picture,
    ),
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
        id="K1",
        about="(with K1-crowd, K1-last) the kiosk's image of 167 MB (quick: 20 MB) to 1 and to 30 clients; what a wire needs, computed",
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

BENCHMARKS = SUITE + OTHERS

MEASURED_BY = {
    "A2": "A1",
    "A4": "B9",
    "A5": "B7",
    "A5-OVERLAY": "B7",
    "A5-PLUG": "B8",
    "B2": "B1",
    "B4": "B3",
    "B6": "B3",
    "I1": "B1",
    "I2": "B1",
    "I3": "B1",
    "P2": "B7",
}
"""Names that another benchmark stands for; those of A and I are what some were called before."""


def chosen(only: list[str], *, quick: bool = False) -> tuple[Benchmark, ...]:
    """Those whose id is one of `only`, or else begins with it ('P'), or what stands for it (MEASURED_BY). Without any: all, and the suite
    when it has to be quick. Raises ValueError."""
    if not only:
        return SUITE if quick else BENCHMARKS
    found: list[Benchmark] = []
    for wanted in only:
        name = MEASURED_BY.get(wanted.upper(), wanted).lower()
        matching = [each for each in BENCHMARKS if each.id.lower() == name] or [
            each for each in BENCHMARKS if each.id.lower().startswith(name)
        ]
        if not matching:
            raise ValueError(f"there is no benchmark {wanted}; known: {', '.join(each.id for each in BENCHMARKS)}")
        found += [each for each in matching if each not in found]
    return tuple(found)
