# SPDX-License-Identifier: MIT
"""P3: what it costs that a version stands on other versions' files: making a run, starting a real guest, reading."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from labvirt.contracts.disks import Drafts, RunDisk
from labvirt.contracts.images import ImageStore, SealMethod
from labvirt.demo.place import Place
from labvirt.disks.driver import QcowDisks
from labvirt.domain.guest import RunId
from labvirt.domain.image import Stage, Version, chain_of
from labvirt.usecases import versions
from tests.bench.controller import BenchController, Controller, running, terminal_mac
from tests.bench.ground import ground, must, tiny_image
from tests.bench.question import ask_until_ready
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.seal_worker import content
from tests.bench.serial_line import listen
from tests.fakes.disks import doors, version_of

PATIENCE_SECONDS = 300.0
FROM, AMOUNT = 96 << 20, 64 << 20
"""Where on the tiny guest's disk there is data that the guest does not care for (images/tiny/README.md: beyond `free_from`)."""
PIECE, PIECES = 64 << 10, 64
"""One layer has so many changes of so many bytes."""
FILES_FOR_A_GUEST = 4
"""What needs no guest is repeated so many times more often."""

NOTES = (
    f"The lowest version holds {AMOUNT >> 20} MiB of data beside the tiny guest's; a layer changes {PIECES * PIECE >> 20} MiB of it.",
    "Reading: qemu-img bench, one request of 4 KiB after the other, out of the host's memory, its own start included.",
    "Making a run: every version's proof is looked up, nothing is read. Each start is one of a seat that never had a guest.",
    "The guest's boot is emulated: it varies by more than the layers cost.",
)


def measure(depths: tuple[int, ...], repeat: int, *, warm_up: int) -> list[Record]:
    """Depths take turns. The first is what the others are compared with."""
    found = _files(depths, repeat * FILES_FOR_A_GUEST, warm_up)
    found |= _guests(depths, repeat, warm_up)
    one = _called(depths[0])
    return [
        record("P3-run", "making a run", "ms", found["run"], ours=one, notes=NOTES),
        record("P3-read", "reading 64 MiB in pieces of 4 KiB", "ms", found["read"], ours=one),
        record("P3-running", "question to guest running", "ms", found["running"], ours=one),
        record("P3-ready", "question to guest having its address", "ms", found["address"], ours=one),
    ]


def _called(depth: int) -> str:
    return "1 layer" if depth == 1 else f"{depth} layers"


def _files(depths: tuple[int, ...], repeat: int, warm_up: int) -> dict[str, dict[str, list[float]]]:
    with ground() as mine:
        made = doors(mine.folder)
        stored = made["store"].import_version(_image(mine), format="qcow2", image="tiny", number=1)
        line = _line(made["store"], made["drafts"], version_of(stored), max(depths), mine.folder / "content")
        chains = {depth: chain_of(line[depth - 1], line) for depth in depths}
        flows = {_called(depth): _run_and_read(made["disks"], chain, f"depth-{depth}") for depth, chain in chains.items()}
        return interleave(flows, repeat, warm_up=warm_up)


def _image(mine: Place) -> Path:
    """The tiny guest's disk with data; what it is made of is in the file `content`."""
    image = mine.folder / "filled.qcow2"
    shutil.copyfile(tiny_image(mine), image)
    content(mine.folder / "content", AMOUNT >> 20)
    must(["qemu-io", "-f", "qcow2", "-c", f"write -q -s {mine.folder / 'content'} {FROM} {AMOUNT}", str(image)])
    return image


def _line(store: ImageStore, drafts: Drafts, first: Version, count: int, content: Path) -> list[Version]:
    """So many versions, each a layer on the one before."""
    line = [first]
    while len(line) < count:
        below, number = line[-1], len(line) + 1
        chain = chain_of(below, line)
        draft = drafts.create(f"tiny.d{number}", chain)
        step = AMOUNT // PIECES
        places = (FROM + place * step + number * PIECE for place in range(PIECES))
        commands = [word for at in places for word in ("-c", f"write -q -s {content} {at} {PIECE}")]
        must(["qemu-io", "-f", "qcow2", *commands, str(draft.path)])
        stored = store.seal(draft.name, chain, number=number, method=SealMethod.LAYER)
        drafts.remove(draft.name)
        line.append(replace(version_of(stored, number=number, parent=below.number), stage=Stage.TESTED))
    store.proven(chain_of(line[-1], line))
    return line


def _run_and_read(disks: QcowDisks, chain: tuple[Version, ...], guest: str) -> Once:
    def once(number: int) -> Mapping[str, float]:
        run = RunId(guest, number + 1)
        began = time.perf_counter()
        ((_, layers),) = disks.create_run(run, (RunDisk(place=0, chain=chain),), uid=None)
        made = time.perf_counter()
        count = AMOUNT // 4096
        must(["qemu-img", "bench", "-q", "-f", "qcow2", "-c", str(count), "-d", "1", "-s", "4096", "-o", str(FROM), str(layers[0].path)])
        read = time.perf_counter()
        disks.remove_run(run)
        return {"run": (made - began) * 1000, "read": (read - made) * 1000}

    return once


def _guests(depths: tuple[int, ...], repeat: int, warm_up: int) -> dict[str, dict[str, list[float]]]:
    with ground() as mine:
        image = _image(mine)
        ours = BenchController(mine, "qemu")
        ours.set_up((warm_up + repeat) * len(depths), image)
        with (mine.state / "labvirt.toml").open("a", encoding="utf-8") as settings:
            settings.write(f"layers = {max(depths)}\n")  # nothing is flattened meanwhile
        with running(ours) as controller:
            _add_versions(controller, max(depths), mine.folder / "content")
            seats = iter(range(1, (warm_up + repeat) * len(depths) + 1))
            flows = {_called(depth): _start(controller, depth, seats) for depth in depths}
            return interleave(flows, repeat, warm_up=warm_up)


def _add_versions(controller: Controller, count: int, content: Path) -> None:
    ports = controller.ports
    with ports.database.read() as work:
        (first,) = work.images.versions("tiny")
    line = _line(ports.store, ports.drafts, first, count, content)
    with ports.database.write() as work:
        for version in line[1:]:
            work.images.add_version(version)
        work.commit()


def _start(controller: Controller, depth: int, seats: Iterator[int]) -> Once:
    def once(number: int) -> Mapping[str, float]:
        """A seat that never had a guest starts from the version that stands on so many files."""
        versions.publish(controller.ports, "tiny", depth, by="bench")
        ready = ask_until_ready(controller.door, terminal_mac(next(seats)), timeout=PATIENCE_SECONDS)
        answered = listen(controller.serial_line(ready.guest), timeout=PATIENCE_SECONDS)
        controller.kill(ready.guest)
        return {"running": (ready.ready - ready.asked) * 1000, "address": (answered.address - ready.asked) * 1000}

    return once
