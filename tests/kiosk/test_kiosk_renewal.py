# SPDX-License-Identifier: MIT
"""The kiosk is told that DHCP has another address for it: it asks for a new lease, a few times, and never while a viewer runs."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

OWN = "10.77.0.71"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def pause(self, seconds: float) -> None:
        self.now += seconds


class Pipe:
    """Whoever holds the lease; `words` is what it was told."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    @property
    def words(self) -> list[str]:
        try:
            return os.read(self._descriptor, 65536).decode().split()
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    made = Pipe(tmp_path / "renew")
    yield made
    made.close()


def test_a_controller_that_is_wrong_for_a_day_costs_few_requests(pipe: Pipe) -> None:
    from labvirt_kiosk.renewal import LONG_PAUSE, PAUSES, Renewal

    clock = Clock()
    renewal = Renewal(pipe.path, lambda: "10.77.0.5", seconds=lambda: clock.now, pause=clock.pause)
    tries = []
    while clock.now < 1000.0 + 86400:
        if renewal.rest(OWN) == 0.0:
            tries.append(clock.now)
            assert renewal.renew() is False
        clock.now += 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert len(pipe.words) == len(tries)
    assert len(tries) < 86400 / LONG_PAUSE * len(PAUSES)
    assert pauses[:5] == sorted(pauses[:5])
    assert all(pause >= 4 for pause in pauses)


def test_words_that_come_and_go_do_not_shorten_the_pauses(pipe: Pipe) -> None:
    from labvirt_kiosk.renewal import PAUSES, Renewal

    clock = Clock()
    renewal = Renewal(pipe.path, lambda: "10.77.0.5", seconds=lambda: clock.now, pause=clock.pause)
    for _ in range(300):
        assert renewal.rest("") is None
        if renewal.rest(OWN) == 0.0:
            renewal.renew()
        clock.now += 1
    assert 1 < len(pipe.words) <= len(PAUSES)


def test_a_new_address_ends_it_and_a_later_move_is_followed_at_once(pipe: Pipe) -> None:
    from labvirt_kiosk.renewal import LONG_PAUSE, Renewal

    clock = Clock()
    addresses = iter(["10.77.0.250", "10.77.0.250", None, "10.77.0.250", OWN])
    now = [None]

    def address() -> Any:
        now[0] = next(addresses, OWN)
        return now[0]

    renewal = Renewal(pipe.path, address, seconds=lambda: clock.now, pause=clock.pause)
    assert renewal.rest(OWN) == 0.0
    assert renewal.renew() is True
    assert renewal.rest(OWN) is None
    assert renewal.rest("10.77.0.72") != 0.0
    clock.now += LONG_PAUSE
    assert renewal.rest("10.77.0.72") == 0.0


def test_without_anybody_who_renews_nothing_is_written_or_made(tmp_path: Path) -> None:
    from labvirt_kiosk.renewal import Renewal

    nobody = tmp_path / "nobody"
    assert Renewal(None, lambda: "10.77.0.5").rest(OWN) is None
    assert Renewal(nobody, lambda: None).rest(OWN) is None
    assert Renewal(nobody, lambda: "10.77.0.5").renew() is False
    assert not nobody.exists()
    os.mkfifo(nobody)  # and nobody reads it
    assert Renewal(nobody, lambda: "10.77.0.5").renew() is False


@pytest.mark.parametrize("value", [None, 7, "", "yes", "10.77.0", "10.77.0.71\nready", ["10.77.0.71"], "::1", "999.0.0.1"])
def test_only_an_address_is_one(value: Any) -> None:
    from labvirt_kiosk.answer import from_fields

    fields = {"version": 1, "status": "starting", "message": "x"}
    assert from_fields({**fields, "renew": OWN}).renew == OWN
    assert from_fields({**fields, "renew": value}).renew == ""


def test_the_kiosk_asks_before_it_shows_and_never_while_it_shows(controller, start_kiosk, stub, pipe, eventually) -> None:
    """The loop's interface is lo here: its address stays 127.0.0.1, so the wish is never fulfilled, and the guest is shown all the same."""
    controller.ready(renew=OWN)
    kiosk = start_kiosk(LABVIRT_RENEW=str(pipe.path), LABVIRT_INTERFACE="lo")
    told: list[str] = []
    eventually(lambda: told.extend(pipe.words) or told, "the wish")
    assert stub.runs() == []
    status = kiosk.until("viewing")
    pid = stub.one()[0]
    assert status["viewer_pid"] == pid
    assert [*told, *pipe.words] == ["renew"]
    controller.ready(renew="10.77.0.72", notice="Hello")  # heard while it shows, where there is a face; here nobody asks then
    assert kiosk.status()["viewer_pid"] == pid
    assert pipe.words == []


def test_what_is_heard_while_a_viewer_runs_renews_nothing(controller, tmp_path, pipe) -> None:
    from labvirt_kiosk.renewal import Renewal

    from tests.kiosk.test_kiosk_parts import _loop, _Quick

    loop = _loop(tmp_path, _Quick(rounds=1), controller.url, lambda name: None)
    loop._renewal = Renewal(pipe.path, lambda: "10.77.0.5", pause=lambda seconds: None, seconds=iter(range(0, 100000, 5)).__next__)
    controller.ready(renew=OWN)
    answer = loop._controller.config(wait=0, etag=None).answer
    loop._heard_while_viewing(answer)
    assert pipe.words == []
    loop._good_answer()  # control: what is heard before does
    assert pipe.words == ["renew"]


def test_a_new_address_makes_it_ask_anew_from_there(controller, tmp_path, pipe) -> None:
    """Without the ETag of the answer that another address got, and without being held."""
    from labvirt_kiosk.renewal import Renewal

    from tests.kiosk.test_kiosk_parts import _loop, _Quick

    address = ["10.77.0.250"]

    def moves(seconds: float) -> None:
        if pipe.words:
            address[0] = OWN
            controller.ready()

    loop = _loop(tmp_path, _Quick(rounds=1), controller.url, lambda name: None)
    loop._renewal = Renewal(pipe.path, lambda: address[0], pause=moves)
    controller.change(status="starting", message="The guest starts.", renew=OWN)
    assert loop._good_answer().answer.ready
    questions = [(q["wait"], headers.get("If-None-Match")) for path, q, headers in controller.requests if q.get("format") == "json"]
    assert questions == [("0", None), ("0", None)]
