# SPDX-License-Identifier: MIT
"""A storm: many terminals ask at once for real guests, and each is told its place and its time until it is served.

Judged: no terminal hears an error; what it was told is compared with what came; a page answers all the while; with `--kill` the whole
controller is killed in the middle and started again, and afterwards nothing is left over and everybody is served.

    make storm-test ARGS="--terminals 40 --clones --kill --json FILE"
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from labvirt import bootstrap
from labvirt.domain.caller import Grant
from labvirt.domain.right import Role
from labvirt.usecases import people, sign_in
from labvirt.usecases.sign_in import From
from labvirt.web.ui.knock import COOKIE
from tests.system import ending, netns
from tests.system.house import PORT, House, Terminal, wait_for

RECIPE = Path(__file__).resolve().parents[2] / "images" / "tiny" / "build.py"
MEMORY_MIB = 96
WAIT_SECONDS = 2
WAITS = frozenset({"starting", "full"})


@dataclass
class Seat:
    """What one terminal heard: at which moment, and which status, reason and time."""

    heard: list[tuple[float, str, str, int | None]] = field(default_factory=list)
    ready: float | None = None
    unanswered: int = 0
    """Times that nobody was there to answer: while the controller is dead, and then only."""


class Storm:
    """Threads that ask; `seats` is what they heard."""

    def __init__(self, house: House, patience: float) -> None:
        self.house = house
        self.seats = {terminal.seat: Seat() for terminal in house.terminals}
        self.pages: list[float] = []
        self.page_errors: list[str] = []
        self.began = time.monotonic()
        self.dead = threading.Event()
        self._over = threading.Event()
        self._deadline = self.began + patience

    def run(self, kill: bool) -> None:
        """Until each is served, or patience is over."""
        cookie = self._sign_in()
        threads = [threading.Thread(target=self._ask, args=(each,), daemon=True) for each in self.house.terminals]
        looker = threading.Thread(target=self._look, args=(cookie,), daemon=True)
        for thread in (*threads, looker):
            thread.start()
        if kill:
            wait_for(lambda: self._served() >= max(1, len(self.seats) // 4), "a quarter is served", self._deadline - time.monotonic())
            self._kill()
        for thread in threads:
            thread.join(max(0.0, self._deadline - time.monotonic()) + 60)
        self._over.set()
        looker.join(120)

    def _served(self) -> int:
        return sum(1 for seat in self.seats.values() if seat.ready is not None)

    def _kill(self) -> None:
        """SIGKILL to all three processes of the controller; then another one."""
        self.dead.set()
        for name in ("serve", "engine", "web"):
            if pid := self.house.part(name):
                self.house.kill(pid)
        wait_for(lambda: not any(self.house.part(name) for name in ("serve", "engine", "web")), "the controller is dead", 30)
        self.house.spawn()
        self.house.wait_engine(120)
        self.dead.clear()

    def _ask(self, terminal: Terminal) -> None:
        seat, wait = self.seats[terminal.seat], 0
        while time.monotonic() < self._deadline:
            try:
                told = terminal.ask(wait=wait)
            except OSError:
                if not self.dead.is_set():
                    seat.heard.append((time.monotonic(), "no answer", "", None))
                seat.unanswered += 1
                time.sleep(0.5)
                continue
            except AssertionError as error:
                seat.heard.append((time.monotonic(), "refused", str(error)[:200], None))
                time.sleep(0.5)
                continue
            now = time.monotonic()
            seat.heard.append((now, str(told["status"]), str(told.get("waits_for", "")), told.get("expect_seconds")))
            if told["status"] == "ready":
                seat.ready = now
                return
            wait = 0
            time.sleep(WAIT_SECONDS)

    def _sign_in(self) -> str:
        with bootstrap.ports(self.house.state) as ports:
            people.add(ports, "anna", grants=(Grant(Role.ADMINISTRATOR),), password="four words in a row")
            opened: Any = sign_in.with_password(ports, "anna", "four words in a row", who=From(address="127.0.0.1"))
        return f"{COOKIE}={opened.token}"

    def _look(self, cookie: str) -> None:
        """The map of the lab, over and over."""
        while not self._over.is_set():
            began = time.monotonic()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
                connection.sock = netns.connect(self.house.namespace, "127.0.0.1", PORT, 60.0)
                connection.request("GET", "/labs/sys", headers={"Cookie": cookie, "Host": f"127.0.0.1:{PORT}"})
                answer = connection.getresponse()
                answer.read()
                connection.close()
                if answer.status == 200:
                    self.pages.append(time.monotonic() - began)
                else:
                    self.page_errors.append(str(answer.status))
            except OSError as error:
                if not self.dead.is_set():
                    self.page_errors.append(type(error).__name__)
            self._over.wait(0.5)


def figures(storm: Storm, killed: bool) -> dict[str, Any]:
    """What was heard, judged. Raises AssertionError when a terminal heard an error, or was not served."""
    wrong, rests, errors, silent = [], [], [], 0
    for number, seat in storm.seats.items():
        bad = [each for each in seat.heard if each[1] not in WAITS | {"ready"}]
        errors += [(number, *each[1:3]) for each in bad]
        told = [(at, due) for at, status, _, due in seat.heard if status in WAITS and due is not None]
        silent += not told
        if seat.ready is not None:
            wrong += [abs(at + due - seat.ready) for at, due in told]
            rests += [seat.ready - at for at, _ in told]
    assert killed or not errors, errors[:10]
    refused = [each for each in errors if each[1] != "no answer"]
    assert not refused, refused[:10]
    missing = {number: seat.heard[-1:] for number, seat in storm.seats.items() if seat.ready is None}
    assert not missing, f"not served: {missing}\n{storm.house.logs()}"
    seconds = sorted((seat.ready or 0.0) - storm.began for seat in storm.seats.values())
    pages = sorted(storm.pages)
    load = os.getloadavg()

    def at(values: list[float], share: float) -> float | None:
        return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 2) if values else None

    return {
        "terminals": len(storm.seats),
        "killed": killed,
        "served_first_s": round(seconds[0], 1),
        "served_median_s": round(median(seconds), 1),
        "served_last_s": round(seconds[-1], 1),
        "announced": len(wrong),
        "seats_without_a_time": silent,
        "announced_rest_median_s": at(rests, 0.5),
        "announced_wrong_by_median_s": at(wrong, 0.5),
        "announced_wrong_by_p95_s": at(wrong, 0.95),
        "page_answers": len(pages),
        "page_median_s": at(pages, 0.5),
        "page_p99_s": at(pages, 0.99),
        "page_errors": storm.page_errors,
        "load_after": [round(each, 1) for each in load],
    }


def storm(house: House, tiny: Path, count: int, *, kill: bool, patience: float, clones: bool = False) -> dict[str, Any]:
    """All at once; the figures. With `clones` the guests are instant clones. Raises AssertionError."""
    house.set_up(tiny, count, memory=MEMORY_MIB, profile=("--instant-clone",) if clones else ())
    if clones:
        house.hasten_templates()
    house.serve()
    if clones:
        house.await_template()
    house.switch_on(count)
    begun = Storm(house, patience)
    begun.run(kill)
    found = figures(begun, kill)
    told = house.wait_engine()
    origins = Counter(str(house.guest(seat)["origin"]).partition(" ")[0] for seat in range(1, count + 1))
    assert origins["clone" if clones else "boot"] >= count / 2, origins
    house.verify_clean(120)
    return found | {"origins": dict(origins), "starts_at_once": told["starts_at_once"], "starts_held": told["starts_held"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terminals", type=int, default=40, metavar="N", help="terminals and guests (1 to 60; default: %(default)s)")
    parser.add_argument("--clones", action="store_true", help="the guests are instant clones of a template that was made before")
    parser.add_argument("--kill", action="store_true", help="kill -9 the controller in the middle")
    parser.add_argument("--patience", type=float, default=1500.0, metavar="SECONDS")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    if not 1 <= options.terminals <= 60:
        parser.error("--terminals must be 1 to 60")
    ending.in_order()
    netns.remove_leftovers()
    with tempfile.TemporaryDirectory(prefix="storm-") as made:
        image = Path(made) / "tiny.qcow2"
        subprocess.run([sys.executable, "-I", str(RECIPE), "--out", str(image)], check=True, stdout=subprocess.DEVNULL)
        with House(Path(made), 1) as house:
            found = storm(house, image, options.terminals, kill=options.kill, patience=options.patience, clones=options.clones)
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
