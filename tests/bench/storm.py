# SPDX-License-Identifier: MIT
"""B9: thousands of terminals whose guests run ask for their configuration, at the same moment and over two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
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
from tests.bench.target import Target, at_most, below

READY_SECONDS = 900.0
READY = b"status=ready\n"
BATCH = 20
"""So many fake guests are wanted at a time while the storm is prepared."""
FLOOR = "ThreadingHTTPServer, fixed bytes"
FLASK = "Flask's own server, fixed bytes"
OVER_SECONDS = 2.0


def measure(terminals: int, repeat: int) -> list[Record]:
    """First the morning: nobody has a guest, each question wants one. Then, on new ground, everybody has one."""
    first, first_wall = _morning(terminals)
    with ground() as mine:
        ours = BenchController(mine, "fake")
        say(f"  adopting {terminals} terminals")
        macs = ours.set_up_many(terminals, tiny_image(mine))
        with running(ours) as controller:
            say(f"  their guests start (fake), {BATCH} at a time")
            targets = _targets(macs)
            etags, length = _all_ready(controller.door, targets)
            with _plain(mine, "stdlib", length) as stdlib, _plain(mine, "flask", length) as flask:
                found, walls = _storms(controller.door, {FLOOR: stdlib, FLASK: flask}, targets, etags, repeat)
    found["first"], walls["first"] = first, [first_wall]
    return _records(terminals, found, walls, length)


def _morning(terminals: int) -> tuple[list[Reply], float]:
    with ground() as mine:
        ours = BenchController(mine, "fake")
        say(f"  adopting {terminals} terminals, for their first questions")
        targets = _targets(ours.set_up_many(terminals, tiny_image(mine)))
        with running(ours) as controller:
            began = time.perf_counter()
            replies = burst(controller.door, [request(controller.door, target) for target in targets])
            return replies, time.perf_counter() - began


def _targets(macs: tuple[str, ...]) -> list[str]:
    return [f"/terminals/config?id={mac}&wait=0" for mac in macs]


def _storms(
    door: tuple[str, int], plain: dict[str, tuple[str, int]], targets: list[str], etags: list[str], repeat: int
) -> tuple[dict[str, list[Reply]], dict[str, list[float]]]:
    """Replies and seconds of each flow. Flows take turns; before `looked up`, `known` and `over` all kept answers have become too old."""
    asking = [request(door, target) for target in targets]
    knowing = [request(door, target, etag=etag) for target, etag in zip(targets, etags, strict=True)]
    flows = [
        ("looked up", door, asking, 0.0),
        ("again", door, asking, 0.0),
        ("known", door, knowing, 0.0),
        ("over", door, asking, OVER_SECONDS),
    ]
    for name, there in plain.items():
        fixed = [request(there, target) for target in targets]
        flows += [(name, there, fixed, 0.0), (f"{name} over", there, fixed, OVER_SECONDS)]
    found: dict[str, list[Reply]] = {name: [] for name, *_ in flows}
    walls: dict[str, list[float]] = {name: [] for name, *_ in flows}
    for number in range(repeat):
        for name, there, requests, over in flows:
            if name in ("looked up", "known", "over"):
                time.sleep(KEPT_SECONDS + 0.2)
            began = time.perf_counter()
            found[name] += burst(there, requests, over=over)
            walls[name].append(time.perf_counter() - began)
        say(f"  storm {number + 1} of {repeat}")
    return found, walls


def _records(terminals: int, found: dict[str, list[Reply]], walls: dict[str, list[float]], length: int) -> list[Record]:
    errors = {name: [each for each in replies if each.status != (304 if name == "known" else 200)] for name, replies in found.items()}
    values = {name: [each.seconds * 1000 for each in replies if each.status] for name, replies in found.items()}
    counted = ", ".join(f"{name} {len(each)} of {len(found[name])}" for name, each in errors.items())
    took = ", ".join(f"{name} {percentile(each, 50):.2f} s" for name, each in walls.items())
    notes = [
        f"{terminals} new TCP connections at once, over loopback; client and server share the processors. An answer has {length} bytes.",
        f"Errors (wrong status, refused, reset, none in 60 s): {counted}.",
        "Latency counts every request that got an answer, also an error, from before connect to the last byte.",
        f"A whole storm took (median): {took}.",
        f"Asked again right after: answers younger than {KEPT_SECONDS:g} s are kept, so a storm that takes longer meets few of them.",
        "Each first question writes a wish into the database, durably, while the (fake) guests begin to start.",
    ]
    problems = sorted({f"{each.status} {each.problem}".strip() for replies in errors.values() for each in replies})
    if problems:
        notes.append("Errors seen: " + "; ".join(problems[:5]))

    beside = {name: values[name] for name in (FLOOR, FLASK)}

    def one(id: str, what: str, name: str, notes: Sequence[str] = (), targets: Sequence[Target] = ()) -> Record:
        plain = {each: values[f"{each} over"] for each in beside} if name == "over" else beside
        return record(id, what, "ms", {"ours": values[name]} | plain, notes=notes, targets=targets)

    lost = sum(len(errors[name]) for name in ("looked up", "again", "known", "over", "first"))
    quick, spread = [below(300, p99=True)], [below(20, p99=True)]
    return [
        one("B9", f"{terminals} terminals ask at once, guests ready, each answer looked up", "looked up", notes, quick),
        one("B9-over", f"{terminals} terminals ask within {OVER_SECONDS:g} s", "over", targets=spread),
        one("B9-again", f"{terminals} terminals ask again right after that storm", "again"),
        one("B9-etag", f"{terminals} terminals ask at once with their ETag (304)", "known"),
        one("B9-first", f"{terminals} terminals ask for the first time at once, nobody has a guest", "first"),
        record("B9-errors", "questions of all these storms that got no right answer", "questions", {"ours": [lost]}, targets=[at_most(0)]),
    ]


def _all_ready(door: tuple[str, int], targets: list[str]) -> tuple[list[str], int]:
    """Every guest is ready: each answer's ETag, the longest answer's bytes. Raises HostNotReady."""
    deadline = time.monotonic() + READY_SECONDS
    for first in range(0, len(targets), BATCH):
        batch = [request(door, target) for target in targets[first : first + BATCH]]
        while waiting := [each for each in burst(door, batch) if READY not in each.body]:
            if time.monotonic() > deadline:
                said = f"{waiting[0].body[:300]!r} {waiting[0].problem}"
                raise HostNotReady(f"Not every fake guest became ready: {said}", hint="labvirt guest list")
            time.sleep(0.2)
    last = burst(door, [request(door, target) for target in targets])
    return [each.etag for each in last], max(len(each.body) for each in last)


@contextmanager
def _plain(mine: Place, kind: str, length: int) -> Iterator[tuple[str, int]]:
    """Host and port of plain_server.py, which ends with this block, and with us."""
    log = mine.folder / f"{kind}.log"
    program = Path(__file__).resolve().with_name("plain_server.py")
    running = process.Child([*privileges.ends_with_parent(), sys.executable, "-I", str(program), kind, str(length)], log=log)
    try:
        deadline = time.monotonic() + 20
        while not (said := files.read_tail(log)).endswith("\n"):
            if time.monotonic() > deadline or running.wait(0.05) is not None:
                raise HostNotReady(f"The baseline's server did not start: {said[-200:]}", hint="Look at tests/bench/plain_server.py.")
        yield "127.0.0.1", int(said)
    finally:
        running.stop(grace_seconds=1)
        running.close()
