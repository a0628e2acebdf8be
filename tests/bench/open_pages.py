# SPDX-License-Identifier: MIT
"""W1: what a page takes while 300 browsers listen and 30 look at consoles, beside the same page while nobody else is there."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labvirt.domain.caller import Grant
from labvirt.domain.right import Role
from labvirt.errors import HostNotReady
from labvirt.usecases import people, power, sign_in
from labvirt.usecases.ports import Ports
from labvirt.usecases.sign_in import From
from labvirt.web.ui.knock import COOKIE
from tests.bench.burst import burst, request
from tests.bench.controller import BenchController, Controller, running
from tests.bench.ground import ground, tiny_image
from tests.bench.record import Record, record
from tests.bench.rounds import say

READY_SECONDS = 900.0
BUSY_SECONDS = 5.0
PAGES = {"labs": "/labs", "map": "/labs/big-1", "seat": "/seats/big-1-001", "count": "/jobs/count"}
WHAT = {
    "labs": "all labs",
    "map": "the map of the largest lab",
    "seat": "one seat",
    "count": "how many jobs go on, as each page asks",
    "sign-in": "signing in, with a password",
}
BESIDE = "beside the crowd"
ALONE = "nobody else there"
ROOT = Path(__file__).resolve().parents[2]


def measure(seats: int, lab_count: int, streams: int, consoles: int, repeat: int, asks: int) -> list[Record]:
    """Rounds of `asks` requests to each page, once with the crowd and once without, in turns."""
    values: dict[str, dict[str, list[float]]] = {name: {BESIDE: [], ALONE: []} for name in (*PAGES, "sign-in")}
    heard: list[dict[str, int]] = []
    costs: dict[str, dict[str, list[float]]] = {name: {ALONE: []} for name in PAGES}
    busy: list[float] = []
    with ground() as mine:
        ours = BenchController(mine, "fake")
        say(f"  adopting {seats} terminals")
        macs = ours.set_up_many(seats, tiny_image(mine), lab_count=lab_count)
        with running(ours) as controller:
            say("  their guests start (fake)")
            names = _all_run(controller, macs)
            people.add(controller.ports, "anna", grants=(Grant(Role.ADMINISTRATOR),), password="four words in a row")
            cookie = signed_in(controller.ports)
            largest = tuple(name for name in names if name.startswith("big-1-"))
            pages = {name: path.replace("big-1-001", largest[0]) for name, path in PAGES.items()}
            for number in range(repeat):
                for flow in (BESIDE, ALONE) if number % 2 == 0 else (ALONE, BESIDE):
                    if flow == ALONE:
                        _round(controller, cookie, pages, asks, values, flow)
                        for name, path in pages.items():
                            costs[name][ALONE].append(_cost(controller, cookie, path, asks))
                        continue
                    with crowd(ours.page.rstrip("/"), cookie, streams, largest[:consoles]) as told, _restless(controller, names[-1]):
                        busy.append(_busy(controller))
                        _round(controller, cookie, pages, asks, values, flow)
                    heard.append(told)
                say(f"  round {number + 1} of {repeat}")
    notes = [
        f"{seats} seats with fake guests in {lab_count} labs, {len(largest)} in the largest.",
        f"{streams} event streams, {consoles} consoles that ask for a whole picture of 1 MB each second.",
        f"Heard by the crowd: {heard}. `lost` counts what ended before its time.",
        "A guest is started afresh all the while, so that streams have something to tell. Client, crowd and server share the processors.",
        f"The web process is busy with the crowd alone (processors, each round): {', '.join(f'{each:.2f}' for each in busy)}.",
        "The crowd's browsers ask how many jobs go on, and do not fetch what changed, as pages do.",
    ]
    waited = [
        record(f"W1-{name}", f"{WHAT[name]}, until its last byte", "ms", found, ours=BESIDE, notes=notes if name == "labs" else ())
        for name, found in values.items()
    ]
    what = "processor time of the web process"
    return waited + [record(f"W1-{name}-cpu", f"{WHAT[name]}: {what}", "ms", spent, ours=ALONE) for name, spent in costs.items()]


@contextmanager
def crowd(url: str, cookie: str, streams: int, guests: tuple[str, ...]) -> Iterator[dict[str, int]]:
    """All of it is open inside; what it heard is in the dict afterwards. Raises HostNotReady."""
    told: dict[str, int] = {}
    argv = [sys.executable, "-m", "tests.bench.watchers"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as watching:
        assert watching.stdin is not None
        assert watching.stdout is not None
        try:
            watching.stdin.write(json.dumps({"url": url, "cookie": cookie, "streams": streams, "consoles": guests}) + "\n")
            watching.stdin.flush()
            if watching.stdout.readline() != "open\n":
                raise HostNotReady("Not all streams and consoles could be opened.", hint="Its reason is above.")
            yield told
            watching.stdin.close()
            told.update(json.loads(watching.stdout.readline()))
        finally:
            watching.kill()


def _round(
    controller: Controller, cookie: str, pages: dict[str, str], asks: int, values: dict[str, dict[str, list[float]]], flow: str
) -> None:
    for _ in range(asks):
        for name, path in pages.items():
            values[name][flow].append(ask(controller, "GET", path, cookie=cookie) * 1000)
    for _ in range(max(1, asks // 10)):  # argon2id costs on purpose
        values["sign-in"][flow].append(ask(controller, "POST", "/enter", body="name=anna&password=four+words+in+a+row") * 1000)


def _cost(controller: Controller, cookie: str, path: str, asks: int) -> float:
    """Milliseconds of processor time that the web process takes for one request, while nobody else is there."""
    before = controller.web_seconds()
    for _ in range(asks):
        ask(controller, "GET", path, cookie=cookie)
    return (controller.web_seconds() - before) * 1000 / asks


def _busy(controller: Controller) -> float:
    """How many processors the web process takes now."""
    before, began = controller.web_seconds(), time.monotonic()
    time.sleep(BUSY_SECONDS)
    return (controller.web_seconds() - before) / (time.monotonic() - began)


def ask(controller: Controller, method: str, path: str, *, cookie: str = "", body: str | None = None) -> float:
    """Seconds on a new connection, to the last byte. Raises HostNotReady when the answer is no success."""
    headers = {"Cookie": cookie} if cookie else {}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection(*controller.door, timeout=60)
    began = time.perf_counter()
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    took = time.perf_counter() - began
    if answer.status not in (200, 303):
        raise HostNotReady(f"{method} {path} was answered {answer.status}", hint="Look at the controller's log.")
    return took


def signed_in(ports: Ports) -> str:
    opened: Any = sign_in.with_password(ports, "anna", "four words in a row", who=From(address="127.0.0.1"))
    return f"{COOKIE}={opened.token}"


@contextmanager
def _restless(controller: Controller, guest: str) -> Iterator[None]:
    """Something changes all the time."""
    ended = threading.Event()

    def turn() -> None:
        while not ended.wait(0.5):
            power.fresh(controller.ports, guest, by="bench")

    turning = threading.Thread(target=turn)
    turning.start()
    try:
        yield
    finally:
        ended.set()
        turning.join()


def _all_run(controller: Controller, macs: tuple[str, ...]) -> tuple[str, ...]:
    """Every terminal has asked, and its guest runs; their names. Raises HostNotReady."""
    targets = [f"/terminals/config?id={mac}&wait=0" for mac in macs]
    deadline = time.monotonic() + READY_SECONDS
    for first in range(0, len(targets), 20):
        batch = [request(controller.door, target) for target in targets[first : first + 20]]
        while any(b"status=ready\n" not in each.body for each in burst(controller.door, batch)):
            if time.monotonic() > deadline:
                raise HostNotReady("Not every fake guest became ready.", hint="labvirt guest list")
            time.sleep(0.2)
    return tuple(each.name for each in controller.guests())
