# SPDX-License-Identifier: MIT
"""Many at once: a thousand questions, hundreds of open pages. No time is judged here; `make bench` measures."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable

import pytest

from labvirt.domain.guest import GuestState

from .conftest import Site, until
from .lab import guest, put, terminal_mac

TERMINALS = 1000
STREAMS = 300


async def ask(site: Site, seat: int, form: str, gate: asyncio.Event) -> tuple[int, float]:
    await gate.wait()
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(*site.address)
    path = f"/terminals/config?id={terminal_mac(seat)}&format={form}&wait=0"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"secret" in answer or b"starting" in answer or b"unknown" in answer, answer
    return int(answer.split(b" ", 2)[1]), time.monotonic() - began


async def storm(site: Site, seats: int) -> list[tuple[int, float]]:
    gate = asyncio.Event()
    tasks = [asyncio.ensure_future(ask(site, number % seats + 1, "json", gate)) for number in range(TERMINALS)]
    await asyncio.sleep(0)
    gate.set()
    return await asyncio.gather(*tasks)


@pytest.mark.slow
def test_a_thousand_terminals_at_once(serve: Callable[..., Site]) -> None:
    """Twice: first nobody has a guest (each question writes a wish), then all are ready."""
    site = serve(seats=TERMINALS)
    for state in ("starting", "ready"):
        answers = asyncio.run(storm(site, TERMINALS))
        assert Counter(status for status, _ in answers) == {200: TERMINALS}
        times = sorted(seconds for _, seconds in answers)
        print(f"{state}: p50 {statistics.median(times):.3f} s, p99 {times[int(len(times) * 0.99)]:.3f} s")
        now = site.ports.clock.now()
        put(site.ports, site.engine, *(guest(seat, GuestState.RUNNING, now) for seat in range(1, TERMINALS + 1)))
        until(lambda: len(site.app.published.changes()) == TERMINALS, "all published")
    assert 1 <= site.engine.pokes <= TERMINALS  # one poke may speak for many


def test_one_terminal_that_asks_a_thousand_times_costs_little(site: Site) -> None:
    answers = asyncio.run(storm(site, 1))
    assert Counter(status for status, _ in answers) == {200: TERMINALS}
    assert site.engine.pokes == 1


@pytest.mark.slow
def test_a_thousand_strangers_at_once(site: Site) -> None:
    async def everybody() -> list[tuple[int, float]]:
        gate = asyncio.Event()
        gate.set()
        return await asyncio.gather(*(ask(site, 100 + number, "plain", gate) for number in range(TERMINALS)))

    assert Counter(status for status, _ in asyncio.run(everybody())) == {200: TERMINALS}
    with site.ports.database.read() as work:
        assert len(work.strangers.list()) == TERMINALS


def test_hundreds_of_open_pages(site: Site) -> None:
    cookie = site.browser().cookies["labvirt_sign_in"]

    async def open_pages() -> None:
        streams = [await asyncio.open_connection(*site.address) for _ in range(STREAMS)]
        for reader, writer in streams:
            writer.write(f"GET /events HTTP/1.1\r\nHost: lab\r\nCookie: labvirt_sign_in={cookie}\r\n\r\n".encode())
            await reader.readuntil(b"event: hello")
        assert site.app.events.open == STREAMS
        page = await asyncio.to_thread(site.browser().get, "/labs")
        assert page.status_code == 200
        put(site.ports, site.engine, guest(1, GuestState.RUNNING, site.ports.clock.now()))
        await asyncio.gather(*(reader.readuntil(b"event: change") for reader, _ in streams))
        for _, writer in streams:
            writer.close()

    asyncio.run(open_pages())
    until(lambda: site.app.events.open == 0, "all streams forgotten")


def test_streams_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(site.app.events), "MOST", 2)
    browser = site.browser()
    with browser.stream("GET", "/events") as one, browser.stream("GET", "/events") as two:
        assert (one.status_code, two.status_code) == (200, 200)
        assert browser.get("/events").status_code == 503
        assert browser.get("/labs").status_code == 200
