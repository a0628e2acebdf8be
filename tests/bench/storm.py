# SPDX-License-Identifier: MIT
"""A4: a thousand terminals whose guests run ask for their configuration at the same moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.demo.place import Place
from labvirt.errors import HostNotReady
from labvirt.system import files, privileges, process
from labvirt.web.terminal.question import KEPT_SECONDS
from tests.bench.burst import Reply, burst, request
from tests.bench.controller import BenchController, running
from tests.bench.ground import ground, tiny_image
from tests.bench.record import Record, record
from tests.bench.rounds import say
from tests.bench.summary import percentile

READY_SECONDS = 600.0
FLOOR = "ThreadingHTTPServer, fixed bytes"


def measure(terminals: int, repeat: int) -> list[Record]:
    """Flows take turns; before each of ours all kept answers are too old, so each terminal costs a look into the database."""
    with ground() as mine:
        ours = BenchController(mine, "fake")
        say(f"  adopting {terminals} terminals")
        macs = ours.set_up_many(terminals, tiny_image(mine))
        with running(ours) as controller:
            door = controller.door
            first = [f"/terminals/config?id={mac}&wait=0" for mac in macs]
            say("  their guests start (fake)")
            made_ready, etags, length = _all_ready(door, first)
            asking = [request(door, target) for target in first]
            knowing = [request(door, target, etag=etag) for target, etag in zip(first, etags, strict=True)]
            with _floor(mine, length) as floor:
                fixed = [request(floor, target) for target in first]
                found: dict[str, list[Reply]] = {"ours": [], "again": [], "known": [], "floor": []}
                walls: dict[str, list[float]] = {name: [] for name in found}
                for number in range(repeat):
                    for name, there, requests in (
                        ("ours", door, asking),
                        ("again", door, asking),
                        ("known", door, knowing),
                        ("floor", floor, fixed),
                    ):
                        if name in ("ours", "known"):
                            time.sleep(KEPT_SECONDS + 0.2)
                        began = time.perf_counter()
                        found[name] += burst(there, requests)
                        walls[name].append(time.perf_counter() - began)
                    say(f"  storm {number + 1} of {repeat}")
    return _records(terminals, found, walls, made_ready, length)


def _records(terminals: int, found: dict[str, list[Reply]], walls: dict[str, list[float]], made_ready: float, length: int) -> list[Record]:
    expected = {"ours": 200, "again": 200, "known": 304, "floor": 200}
    errors = {name: [each for each in replies if each.status != expected[name]] for name, replies in found.items()}
    values = {name: [each.seconds * 1000 for each in replies if each.status] for name, replies in found.items()}
    notes = [
        f"{len(walls['ours'])} storms of {terminals} new TCP connections each, over loopback; client and server share the processors.",
        "Errors (wrong status, refused, reset, over 60 s): "
        + ", ".join(f"{name} {len(each)} of {len(found[name])}" for name, each in errors.items())
        + ". Latency counts every request that got an answer, from before connect to the last byte.",
        "A whole storm took (median): " + ", ".join(f"{name} {percentile(each, 50):.2f} s" for name, each in walls.items()) + ".",
        f"An answer has {length} bytes. Before: first questions of all until every guest was ready (fake hypervisor): {made_ready:.1f} s.",
    ]
    problems = sorted({f"{each.status} {each.problem}" for replies in errors.values() for each in replies})
    if problems:
        notes.append("Seen: " + "; ".join(problems[:5]))

    def one(id: str, what: str, name: str, notes: list[str]) -> Record:
        return record(id, what, "ms", {"ours": values[name], FLOOR: values["floor"]}, notes=notes)

    return [
        one("A4", f"{terminals} terminals ask at once, each answer looked up", "ours", notes),
        one("A4-again", f"{terminals} terminals ask again within {KEPT_SECONDS:g} s (kept answers)", "again", []),
        one("A4-etag", f"{terminals} terminals ask at once with their ETag (304)", "known", []),
    ]


def _all_ready(door: tuple[str, int], targets: list[str]) -> tuple[float, list[str], int]:
    """Every guest is ready: the seconds that took, each answer's ETag, the longest answer. Raises HostNotReady."""
    began = time.monotonic()
    while True:
        replies = burst(door, [request(door, target) for target in targets])
        if all(each.status == 200 and b"status=ready\n" in each.body for each in replies):
            return time.monotonic() - began, [each.etag for each in replies], max(len(each.body) for each in replies)
        failed = [each for each in replies if b"status=failed\n" in each.body or each.status != 200]
        if failed or time.monotonic() > began + READY_SECONDS:
            sample = (failed or [each for each in replies if b"status=ready\n" not in each.body])[0]
            raise HostNotReady(f"Not every fake guest became ready: {sample.body[:300]!r} {sample.problem}", hint="labvirt guest list")
        time.sleep(1.0)


@contextmanager
def _floor(mine: Place, length: int) -> Iterator[tuple[str, int]]:
    """Host and port of floor.py, which ends with this block, and with us."""
    log = mine.folder / "floor.log"
    program = Path(__file__).resolve().with_name("floor.py")
    running = process.Child([*privileges.ends_with_parent(), sys.executable, "-I", str(program), str(length)], log=log)
    try:
        deadline = time.monotonic() + 20
        while not (said := files.read_tail(log)).endswith("\n"):
            if time.monotonic() > deadline or running.wait(0.05) is not None:
                raise HostNotReady(f"The baseline's server did not start: {said[-200:]}", hint="Look at tests/bench/floor.py.")
        yield "127.0.0.1", int(said)
    finally:
        running.stop(grace_seconds=1)
        running.close()
