# SPDX-License-Identifier: MIT
"""P4: a teacher's publish, whole: his guest shut down, the draft sealed, a canary started and looked at, the pointer moved."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime

from labvirt.domain.job import Job, JobState
from labvirt.errors import HostNotReady
from labvirt.usecases import jobs, sessions, versions
from tests.bench.controller import BenchController, Controller, running
from tests.bench.ground import ground, tiny_image
from tests.bench.record import Record, record
from tests.bench.rounds import interleave
from tests.bench.serial_line import listen, tell

PATIENCE_SECONDS = 300.0
BY = "bench"

STEPS = {
    "open": ("admin start to its guest running", r"$^"),
    "beginning": ("of which: until the job begins", r"beginning"),
    "down": ("of which: the session's guest follows its power button", r"shutting down |switching \S+ off"),
    "seal": ("of which: sealing", r"sealing "),
    "starts": ("of which: the canary's guest starts", r"canary \S+: it starts"),
    "lease": ("of which: it boots and gets its lease", r"canary \S+: it gets its lease"),
    "port": ("of which: its port answers", r"canary \S+: its \S+ port"),
    "picture": ("of which: it shows a picture", r"canary \S+: it shows"),
    "pointer": ("of which: the pointer is moved", r"publishing "),
}
"""Measure -> what it is, and how the job's log calls that step (usecases/publishing.py, usecases/canaries.py)."""

NOTES = (
    "From asking for the publish to the durable pointer, seen by a poll each 0.25 s; the steps are the times in the job's own log.",
    "The session's guest has booted and written a record to its disk. Two guests' work, a shutdown and a boot, is emulated.",
    "After each round the publish is undone, so every draft stands on version 1.",
)


def measure(repeat: int, *, warm_up: int) -> list[Record]:
    with ground() as mine:
        ours = BenchController(mine, "qemu")
        ours.set_up(1, tiny_image(mine))
        with running(ours) as controller:
            found = interleave({"ours": lambda number: _publish(controller, number)}, repeat, warm_up=warm_up)
    records = [record("P4", "publish with canary, the whole job", "s", found["whole"], notes=NOTES)]
    records += [record(f"P4-{name}", what, "s", found[name]) for name, (what, _) in STEPS.items() if name in found]
    return records


def _publish(controller: Controller, number: int) -> Mapping[str, float]:
    ports = controller.ports
    began = time.monotonic()
    opened = _done(controller, sessions.start(ports, "tiny", by=BY))
    open_at = time.monotonic()
    serial = controller.serial_line(opened.result["guest"])
    listen(serial, timeout=PATIENCE_SECONDS)
    tell(serial, f"keep round {number}", "kept round", timeout=PATIENCE_SECONDS)
    asked = time.monotonic()
    job = _done(controller, sessions.publish(ports, opened.result["draft"], by=BY))
    whole = time.monotonic() - asked
    steps = steps_of(job, jobs.lines(ports, job.number))
    versions.rollback(ports, "tiny", by=BY)
    return {"whole": whole, "open": open_at - began, **steps}


def _done(controller: Controller, job: Job) -> Job:
    """Raises HostNotReady when it failed."""
    ended = jobs.wait(controller.ports, job.number, lambda told: None)
    if ended.state is not JobState.DONE:
        raise HostNotReady(f"{job.kind} {job.subject}: {ended.error.sentence if ended.error else ended.state}", hint="labvirt job show")
    return ended


def steps_of(job: Job, log: tuple[tuple[datetime, str], ...]) -> dict[str, float]:
    """Seconds of each step: from its line to the next step's; the first from the asking, the last to the end."""
    assert job.ended_at is not None
    begun = [(at, name) for at, line in log for name, (_, pattern) in STEPS.items() if re.match(pattern, line)]
    ends = [*begun[1:], (job.ended_at, "")]
    found = {name: 0.0 for _, name in begun}
    for (at, name), (end, _) in zip(begun, ends, strict=True):
        found[name] += (end - (job.asked_at if name == "beginning" else at)).total_seconds()
    return found
