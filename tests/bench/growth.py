# SPDX-License-Identifier: MIT
"""B11: what one more terminal costs a controller that has many: question, look-up, list, restart, memory. Fake hosts; all else is real.

One controller for each number of terminals; all live at the same time, and take turns.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from labvirt.demo import place
from labvirt.demo.place import Place
from labvirt.domain.caller import Grant
from labvirt.domain.right import Role
from labvirt.errors import HostNotReady
from labvirt.usecases import people, terminals
from labvirt.web.terminal.question import KEPT_SECONDS
from tests.bench.burst import burst, request
from tests.bench.controller import BenchController, Controller, running
from tests.bench.ground import ground, tiny_image
from tests.bench.open_pages import ask, signed_in
from tests.bench.record import Record, record
from tests.bench.rounds import say
from tests.bench.target import Target, at_most_times, below

GROWTH = 1.1
"""No more than so much for ten times as many terminals."""
SETTLE_SECONDS = 5.0
READY_SECONDS = 120.0
LISTS = 5
RESTARTS = 3
ASKED = 20
"""Terminals of each controller whose guests run and that ask again and again."""


@dataclass(frozen=True, slots=True)
class _Corner(Place):
    """A place within another: its processes end with that one's."""

    number: int

    @property
    def namespace(self) -> str:
        return Place(self.owner, self.started, self.root).terminal_namespace(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    count: int
    started: BenchController
    controller: Controller
    macs: tuple[str, ...]
    names: tuple[str, ...]
    cookie: str


def measure(counts: Sequence[int], repeat: int) -> list[Record]:
    """`repeat` questions and look-ups of each."""
    found: dict[str, dict[str, list[float]]] = {}

    def took(what: str, site: _Site, value: float) -> None:
        found.setdefault(what, {_name(count): [] for count in counts})[_name(site.count)].append(value)

    with ground() as mine, ExitStack() as stack:
        sites = [_site(mine, number, count, stack) for number, count in enumerate(counts, 1)]
        chance = random.Random(11)
        asked = {site.count: chance.sample(site.macs, min(ASKED, site.count)) for site in sites}
        for site in sites:
            _all_ready(site, asked[site.count])
        time.sleep(SETTLE_SECONDS)
        for number in range(repeat):
            if number % ASKED == 0:
                time.sleep(KEPT_SECONDS + 0.2)  # an answer that is kept costs nothing
            for site in _turned(sites, number):
                took("question", site, _question(site, asked[site.count][number % len(asked[site.count])]))
                took("look-up", site, _look_up(site, chance.choice(site.names)))
        for number in range(LISTS):
            for site in _turned(sites, number):
                began = time.perf_counter()
                terminals.everything(site.controller.ports)
                took("list", site, (time.perf_counter() - began) * 1e6 / site.count)
                took("page", site, ask(site.controller, "GET", "/labs", cookie=site.cookie) * 1000)
        for site in sites:
            took("memory", site, site.controller.memory_mib())
        for number in range(RESTARTS):
            for site in _turned(sites, number):
                took("restart", site, _restart(site, asked[site.count][0]))
    return _records(counts, found)


def _records(counts: Sequence[int], found: Mapping[str, Mapping[str, list[float]]]) -> list[Record]:
    most = _name(counts[-1])
    grown = [each * 1024 / (counts[-1] - counts[0]) for each in _differences(found["memory"], counts)]
    notes = (
        "Fake hypervisor, network and DHCP; database, use cases, engine, HTTP and pages are real. All live at once and take turns.",
        f"{ASKED} terminals of each, whose guests run (fake), ask by turns, each when its kept answer has become too old.",
        f"Engine, web and supervisor together (Pss): {', '.join(f'{name} {each[0]:.0f} MiB' for name, each in found['memory'].items())}.",
    )

    def one(id: str, what: str, unit: str, name: str, targets: Sequence[Target], notes: Sequence[str] = ()) -> Record:
        return record(id, what, unit, found[name], ours=most, targets=targets, notes=notes)

    flat = tuple(at_most_times(round(GROWTH ** math.log10(counts[-1] / count), 3), _name(count)) for count in counts[:-1])
    return [
        one("B11", "a terminal's question, one at a time", "ms", "question", flat, notes),
        one("B11-lookup", "one terminal by its name", "ms", "look-up", flat),
        one("B11-list", "the list of all terminals, each of them", "µs", "list", flat),
        one("B11-page", "the page of all labs", "ms", "page", ()),
        one("B11-restart", "restart until a terminal's question is answered", "s", "restart", (below(2),)),
        record("B11-memory", f"memory for each terminal more, {counts[0]} to {counts[-1]}", "KiB", {"ours": grown}),
    ]


def _differences(memory: Mapping[str, list[float]], counts: Sequence[int]) -> list[float]:
    return [last - first for first, last in zip(memory[_name(counts[0])], memory[_name(counts[-1])], strict=True)]


def _name(count: int) -> str:
    return f"{count:,} terminals"


def _turned(sites: list[_Site], number: int) -> list[_Site]:
    first = number % len(sites)
    return sites[first:] + sites[:first]


def _site(mine: Place, number: int, count: int, stack: ExitStack) -> _Site:
    """A controller of its own, with so many terminals."""
    root = mine.folder / str(count)
    corner = _Corner(mine.owner, mine.started, root, number)
    corner.folder.mkdir(mode=0o700, parents=True)
    place.make_namespace(corner.namespace)
    started = BenchController(corner, "fake")
    say(f"  adopting {count} terminals")
    macs = started.set_up_many(count, tiny_image(mine))
    controller = stack.enter_context(running(started))
    people.add(controller.ports, "anna", grants=(Grant(Role.ADMINISTRATOR),), password="four words in a row")
    names = tuple(each.name for each in terminals.everything(controller.ports))
    return _Site(count=count, started=started, controller=controller, macs=macs, names=names, cookie=signed_in(controller.ports))


def _all_ready(site: _Site, macs: Sequence[str]) -> None:
    """The guests of these terminals run. Raises HostNotReady."""
    door = site.controller.door
    deadline = time.monotonic() + READY_SECONDS
    questions = [request(door, _target(mac)) for mac in macs]
    while any(b"status=ready\n" not in each.body for each in burst(door, questions)):
        if time.monotonic() > deadline:
            raise HostNotReady("Not every fake guest became ready.", hint="labvirt guest list")
        time.sleep(0.2)


def _target(mac: str) -> str:
    return f"/terminals/config?id={mac}&wait=0"


def _question(site: _Site, mac: str) -> float:
    [reply] = burst(site.controller.door, [request(site.controller.door, _target(mac))])
    if reply.status != 200:
        raise HostNotReady(f"A question was answered {reply.status} {reply.problem}", hint="Look at the controller's log.")
    return reply.seconds * 1000


def _look_up(site: _Site, name: str) -> float:
    began = time.perf_counter()
    terminals.one(site.controller.ports, name)
    return (time.perf_counter() - began) * 1000


def _restart(site: _Site, mac: str) -> float:
    """Seconds from starting it anew until it answers the question of a terminal whose guest runs."""
    site.started.stop()
    began = time.perf_counter()
    site.started.launch()
    door = site.started.door
    while not any(b"status=ready\n" in each.body for each in burst(door, [request(door, _target(mac))], timeout=5)):
        if time.perf_counter() - began > READY_SECONDS:
            raise HostNotReady("It does not answer after its restart.", hint="Look at the controller's log.")
        time.sleep(0.005)
    return time.perf_counter() - began
