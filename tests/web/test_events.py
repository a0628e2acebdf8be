# SPDX-License-Identifier: MIT
"""One crier for all streams: it waits once, says the same to all, and who was busy hears what there was since. And what a page reads again
because of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from labvirt.contracts.engine import Change, EngineStatus, Presence
from labvirt.domain.guest import GuestState
from labvirt.usecases import inspect, labs
from labvirt.web.published import Published
from labvirt.web.ui import events, looking
from labvirt.web.ui.events import Crier

from .conftest import Site, until
from .lab import FakeEngine, MovableClock, fill, guest, put


def change(seat: int, state: GuestState = GuestState.RUNNING) -> Change:
    told = guest(seat, state, MovableClock().now())
    return Change(guest=told, presence=Presence(guest=told.name, display=False, flow=False))


def test_all_hear_the_same_words_and_who_was_busy_hears_them_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "CALM_SECONDS", 0.0)

    async def streams() -> None:
        published = Published(FakeEngine())
        waits: list[str] = []
        wait = published.wait

        async def counted(name: str, seen: int, seconds: float) -> bool:
            waits.append(name)
            return await wait(name, seen, seconds)

        monkeypatch.setattr(published, "wait", counted)
        crier = Crier(published)
        listening = [asyncio.create_task(crier.next(0)) for _ in range(50)]
        gone = asyncio.create_task(crier.next(0))
        await asyncio.sleep(0)
        gone.cancel()  # one browser that goes away takes nobody with it
        published._note(change(1))
        heard = await asyncio.wait_for(asyncio.gather(*listening), 10)
        assert set(heard) == {(1, b"event: change\ndata: 1\n\n")}
        assert waits == [""]
        published._note(change(2))
        assert await asyncio.wait_for(crier.next(1), 10) == (2, b"event: change\ndata: 2\n\n")
        assert await asyncio.wait_for(crier.next(0), 10) == (2, b"event: change\ndata: 2\n\n"), "who was busy with the first"
        last = asyncio.create_task(crier.next(2))
        await asyncio.sleep(0)
        assert not last.done()
        published.close()
        await asyncio.wait_for(last, 10)
        await asyncio.wait_for(crier.next(2), 10)

    asyncio.run(streams())


def test_silence_is_told_and_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)

    async def stream() -> None:
        published = Published(FakeEngine())
        assert await asyncio.wait_for(Crier(published).next(0), 10) == (0, b": still here\n\n")
        published._note(change(1))
        assert (await asyncio.wait_for(Crier(published).next(0), 10))[0] == 1

    asyncio.run(stream())


def test_only_the_lab_of_which_something_was_told_is_read_again(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MovableClock()
    site = serve(clock)
    labs.add(site.ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"))
    fill(site.ports, site.engine, 2)
    until(lambda: len(site.app.published.changes()) == 2, "all guests")
    read: list[frozenset[str] | None] = []
    overview = inspect.overview

    def counted(*told: Any, **more: Any) -> inspect.Overview:
        read.append(more.get("changed") if more.get("before") is not None else None)
        return overview(*told, **more)

    monkeypatch.setattr(inspect, "overview", counted)
    browser = site.browser()
    assert browser.get("/labs").status_code == 200
    read.clear()
    assert browser.get("/labs").status_code == 200
    assert read == []
    put(site.ports, site.engine, guest(1, GuestState.FAILED, clock.now()))
    until(lambda: site.app.published.changes() and any(c.guest.state is GuestState.FAILED for c in site.app.published.changes()), "told")
    assert "failed" in browser.get("/seats/lab-a-01/now").text
    assert read == [frozenset({"lab-a"})]
    clock.move(1.0)  # what nobody told is found a second later
    assert browser.get("/labs").status_code == 200
    assert read[1:] == [None]


def test_a_page_does_not_wait_for_an_engine_that_is_busy(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "ENGINE_SECONDS", 0.05)
    clock = MovableClock()
    site = serve(clock)
    fill(site.ports, site.engine, 2)
    until(lambda: len(site.app.published.changes()) == 2, "all guests")
    browser = site.browser()
    assert "failed" not in browser.get("/seats/lab-a-01/now").text
    going_on, status = threading.Event(), site.engine.status

    def slowly() -> EngineStatus:
        assert going_on.wait(60)
        return status()

    monkeypatch.setattr(site.engine, "status", slowly)
    clock.move(looking.OLDEST_SECONDS)
    put(site.ports, site.engine, guest(1, GuestState.FAILED, clock.now()))
    until(lambda: any(each.guest.state is GuestState.FAILED for each in site.app.published.changes()), "told")
    assert "failed" in browser.get("/seats/lab-a-01/now").text, "what was told is shown, though the engine says nothing"
    clock.move(looking.LATEST_SECONDS)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(browser.get, "/seats/lab-a-01/now")
        assert not late.done()  # older than that nothing is shown
        going_on.set()
        assert late.result(60).status_code == 200
