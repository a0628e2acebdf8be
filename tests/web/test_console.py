# SPDX-License-Identifier: MIT
"""Consoles over the real server: the ticket, the WebSocket, screens and serial lines, and who is let in how far."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from labvirt.domain.caller import Grant
from labvirt.domain.guest import GuestState, RunId
from labvirt.domain.right import Role
from labvirt.errors import EngineAway
from labvirt.usecases import people, sign_in
from labvirt.usecases.sign_in import From
from labvirt.web.console import browser as browser_end
from labvirt.web.console import route
from labvirt.web.console.browser import Ending
from labvirt.web.ui.knock import COOKIE

from .conftest import PATIENCE_SECONDS, Site, until
from .lab import MovableClock, guest, put
from .test_rfb import CUT, GREETED, HELLO, KEY, POINTER, UPDATE
from .viewer import Viewer, dial, ending, spend

RUN = RunId("lab-a-01", 1)


class Person:
    """A signed-in browser that opens consoles."""

    def __init__(self, site: Site) -> None:
        self.site = site
        name = f"person{len(people.everything(site.ports))}"
        people.add(site.ports, name, grants=(Grant(Role.ADMINISTRATOR),), password="four words in a row")
        opened = sign_in.with_password(site.ports, name, "four words in a row", who=From(address="127.0.0.1"))
        self.client = site.client(cookies={COOKIE: opened.token})
        self.cookie = f"{COOKIE}={self.client.cookies[COOKIE]}"
        self.lines: list[ClientConnection] = []

    def ask(self, name: str = "lab-a-01", **more: Any) -> httpx.Response:
        return self.client.post("/consoles", json={"guest": name, **more}, headers={"Accept": "application/json"})

    def ticket(self, name: str = "lab-a-01", **more: Any) -> str:
        answer = self.ask(name, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ticket"])

    def dial(self, **headers: Any) -> ClientConnection:
        line = dial(self.site.url, self.cookie, **headers)
        self.lines.append(line)
        return line

    def open(self, name: str = "lab-a-01", **more: Any) -> ClientConnection:
        line = self.dial()
        told = spend(line, self.ticket(name, **more))
        assert told["guest"] == name
        return line


@pytest.fixture
def persons(site: Site) -> Iterator[Callable[[], Person]]:
    """Makes people at a site with two running guests."""
    yield from _people(site)


def _people(site: Site) -> Iterator[Callable[[], Person]]:
    now = site.ports.clock.now()
    put(site.ports, site.engine, guest(1, GuestState.RUNNING, now), guest(2, GuestState.RUNNING, now))
    made: list[Person] = []

    def make() -> Person:
        made.append(Person(site))
        return made[-1]

    yield make
    for person in made:
        for line in person.lines:
            with contextlib.suppress(OSError):
                line.close()
    until(lambda: site.app.console.open == 0, "all consoles are closed")


@pytest.fixture
def played(site: Site, persons: Callable[[], Person]) -> Iterator[list[socket.socket]]:
    """The guests' ends, which the test plays."""
    site.engine.guest_ends = []
    yield site.engine.guest_ends
    for end in site.engine.guest_ends:
        end.close()


def end_of(played: list[socket.socket], number: int = 0) -> socket.socket:
    until(lambda: len(played) > number, "the console is connected")
    played[number].settimeout(PATIENCE_SECONDS)
    return played[number]


def heard(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = end.recv(count - len(data))
        assert piece
        data += piece
    return data


def test_a_screen_is_seen_and_typed_into(persons: Callable[[], Person]) -> None:
    viewer = Viewer(persons().open())
    assert (viewer.width, viewer.height, viewer.name) == (640, 400, "lab-a-01.g1")
    before = viewer.picture()
    assert len(before) == 640 * 400 * 4
    viewer.type("x")
    assert viewer.picture(again=True) != before


def test_the_ticket_is_told_once_and_never_in_an_address(persons: Callable[[], Person]) -> None:
    person = persons()
    answer = person.ask(kind="serial", view_only=True)
    told = answer.json()
    assert {name: told[name] for name in ("guest", "kind", "view_only", "seconds")} == {
        "guest": "lab-a-01",
        "kind": "serial",
        "view_only": True,
        "seconds": 60,
    }
    assert len(told["ticket"]) >= 43  # 256 bits
    assert answer.headers["cache-control"] == "no-store"
    assert "location" not in answer.headers
    assert person.client.post("/consoles", data={"guest": "lab-a-01", "view_only": "on"}).json()["view_only"] is True
    assert person.ask(kind="sound").json()["error"]["code"] == "invalid-input"
    assert person.ask("lab-a-03").status_code == 404
    with person.site.ports.database.read() as work:
        assert not [entry for entry in work.audit.last(10, "lab-a-01") if told["ticket"] in entry.what]


def test_a_ticket_opens_once(persons: Callable[[], Person]) -> None:
    person = persons()
    ticket = person.ticket()
    first, second = person.dial(), person.dial()
    assert spend(first, ticket)["kind"] == "screen"
    with pytest.raises(ConnectionClosed) as refused:
        spend(second, ticket)
    assert refused.value.rcvd is not None
    assert (refused.value.rcvd.code, refused.value.rcvd.reason) == (Ending.REFUSED, "This ticket is not valid.")


def test_a_ticket_of_another_sign_in_is_worth_nothing(persons: Callable[[], Person]) -> None:
    person, other = persons(), persons()
    ticket = person.ticket()
    stolen = other.dial()
    stolen.send(json.dumps({"ticket": ticket}))
    assert ending(stolen)[0] == Ending.REFUSED
    line = person.dial()
    line.send(json.dumps({"ticket": ticket}))
    assert ending(line)[0] == Ending.REFUSED  # it was shown by somebody else: burnt
    person.open()


def test_a_ticket_counts_for_a_minute(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    for persons in _people(serve(clock=clock)):
        person = persons()
        early, late = person.ticket(), person.ticket()
        clock.move(59)
        assert spend(person.dial(), early)["guest"] == "lab-a-01"
        clock.move(2)
        line = person.dial()
        line.send(json.dumps({"ticket": late}))
        assert ending(line)[0] == Ending.REFUSED


def test_pages_of_others_are_refused_before_anything(persons: Callable[[], Person]) -> None:
    person = persons()
    own = person.site.url
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": own.replace("127.0.0.1", "localhost")},
        {"origin": own, "Sec_Fetch_Site": "cross-site"},
        {"origin": "http://evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "same-site"},
    ):
        with pytest.raises(InvalidStatus) as refused:
            person.dial(**headers)
        assert refused.value.response.status_code == 403, headers
    for headers in ({"origin": own}, {"origin": own, "Sec_Fetch_Site": "same-origin"}, {}):
        assert spend(person.dial(**headers), person.ticket())["guest"] == "lab-a-01"


def test_nobody_gets_in_without_a_sign_in(persons: Callable[[], Person], site: Site) -> None:
    person = persons()
    for cookie in ("", f"{COOKIE}=forged", f"{COOKIE}={site.shell().token[:-2]}"):
        with pytest.raises(InvalidStatus) as refused:
            dial(site.url, cookie)
        assert refused.value.response.status_code == 403
    person.open()
    for path in ("/events", "/consoles", "/console/x", "/"):
        with pytest.raises(InvalidStatus):
            dial(site.url.replace("/console", "") + path + "?", person.cookie)


@pytest.mark.parametrize("words", ["", "{}", "[]", '{"ticket": 5}', '{"ticket": ""}', "x" * 2000, b"\x00" * 10, "[" * 1000])
def test_what_is_no_ticket(persons: Callable[[], Person], words: str | bytes) -> None:
    line = persons().dial()
    line.send(words)
    assert ending(line)[0] == Ending.NOT_UNDERSTOOD


def test_who_says_nothing_is_let_go(persons: Callable[[], Person], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_end, "FIRST_SECONDS", 0.1)
    assert ending(persons().dial())[0] == Ending.REFUSED


def test_too_large_a_message_ends_it(persons: Callable[[], Person]) -> None:
    line = persons().open()
    line.send(b"\x00" * (64 * 1024 + 1))
    assert ending(line)[0] == 1009


def test_who_only_looks_types_nothing(persons: Callable[[], Person], played: list[socket.socket]) -> None:
    person = persons()
    for number, view_only in enumerate((True, False)):
        line = person.open(view_only=view_only)
        end = end_of(played, number)
        end.sendall(b"RFB 003.008\n")
        assert line.recv(PATIENCE_SECONDS) == b"RFB 003.008\n"
        line.send(HELLO + KEY + POINTER + CUT + UPDATE)
        through = GREETED + UPDATE if view_only else GREETED + KEY + POINTER + CUT + UPDATE
        assert heard(end, len(through)) == through


def test_what_no_viewer_says_ends_it(persons: Callable[[], Person], played: list[socket.socket]) -> None:
    line = persons().open()
    end_of(played).sendall(b"RFB 003.008\n")
    line.send(b"GET / HTTP/1.1\r\n\r\n")
    code, sentence = ending(line)
    assert (code, sentence) == (Ending.NOT_UNDERSTOOD, "This viewer speaks another protocol than RFB 3.8.")
    assert end_of(played).recv(100) == b""


def test_a_guest_that_was_started_anew(persons: Callable[[], Person], site: Site) -> None:
    person = persons()
    ticket = person.ticket()
    again = replace(guest(1, GuestState.RUNNING, site.ports.clock.now()), generation=2, run=RunId("lab-a-01", 2))
    put(site.ports, site.engine, again)
    line = person.dial()
    line.send(json.dumps({"ticket": ticket}))
    assert ending(line) == (Ending.OVER, "lab-a-01 was started anew.")
    assert Viewer(person.open()).name == "lab-a-01.g2"


def test_a_guest_that_ends_ends_its_consoles(persons: Callable[[], Person], played: list[socket.socket]) -> None:
    line, other = persons().open(), persons().open("lab-a-02")
    end_of(played, 1).sendall(b"still here")
    end_of(played).close()
    code, sentence = ending(line)
    assert code == Ending.OVER
    assert "switched off" in sentence
    assert other.recv(PATIENCE_SECONDS) == b"still here"


def test_a_sign_in_that_ends_ends_its_consoles(
    persons: Callable[[], Person], played: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert route.CHECK_SECONDS + route.CHECK_AGAIN_SECONDS <= 30
    monkeypatch.setattr(route, "CHECK_SECONDS", 0.05)
    person, other = persons(), persons()
    line, theirs = person.open(), other.open()
    for number in (0, 1):
        end_of(played, number).sendall(b"hello")
    person.client.post("/leave")
    assert ending(line) == (Ending.REFUSED, "You are not signed in any more.")
    assert theirs.recv(PATIENCE_SECONDS) == b"hello"
    end_of(played, 1).sendall(b"again")
    assert theirs.recv(PATIENCE_SECONDS) == b"again"


def test_the_engine_may_be_away(persons: Callable[[], Person], site: Site) -> None:
    person = persons()
    line, ticket = person.open(), person.ticket()
    site.engine.console = EngineAway()
    late = person.dial()
    late.send(json.dumps({"ticket": ticket}))
    code, sentence = ending(late)
    assert code == Ending.NOT_READY
    assert "engine" in sentence
    assert Viewer(line).name == "lab-a-01.g1"  # what is open needs no engine


def test_a_guest_that_hangs_keeps_nobody_else_waiting(persons: Callable[[], Person], site: Site) -> None:
    """Its consoles wait for one opening, on one thread."""
    site.engine.hold_consoles = threading.Event()
    person = persons()
    for _ in range(8):
        line = person.dial()
        line.send(json.dumps({"ticket": person.ticket()}))
    until(lambda: len(site.engine.consoles_opened) == 1, "the first is being opened")
    held, site.engine.hold_consoles = site.engine.hold_consoles, None
    assert Viewer(person.open("lab-a-02")).name == "lab-a-02.g1"
    assert len(site.engine.consoles_opened) == 2
    held.set()


def test_slow_browsers_hold_up_nobody(persons: Callable[[], Person], played: list[socket.socket], site: Site) -> None:
    """Thirty screens that never stand still, and browsers that take nothing: pages answer, and little is piled up."""
    person = persons()
    lines = [person.open() for _ in range(30)]
    until(lambda: len(played) == 30, "all are connected")
    taken = [0] * 30
    piece = b"x" * 65536
    for number, end in enumerate(played):
        end.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while taken[number] < 64 << 20:
                taken[number] += end.send(piece)
    assert person.client.get("/labs").status_code == 200
    assert max(taken) < 16 << 20, taken  # socket buffers, a browser's own, and no more
    fast = person.open("lab-a-02")
    end_of(played, 30).sendall(b"fresh")
    assert fast.recv(PATIENCE_SECONDS) == b"fresh"
    assert site.app.console.open == 31
    assert lines[7].recv(PATIENCE_SECONDS)


def test_as_many_consoles_as_are_allowed(persons: Callable[[], Person], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "PER_PERSON", 2)
    person, other = persons(), persons()
    person.open(), person.open()
    assert ending(person.dial())[0] == Ending.TOO_MANY
    other.open()
    monkeypatch.setattr(route, "MOST", 3)
    assert ending(other.dial())[0] == Ending.TOO_MANY
    person.lines[0].close()
    until(lambda: person.site.app.console.open == 2, "one is closed")
    person.open()


def test_a_serial_line_is_shared(persons: Callable[[], Person], played: list[socket.socket], site: Site) -> None:
    person, other = persons(), persons()
    first = person.open(kind="serial")
    end = end_of(played)
    end.sendall(b"lab-a-01 login: ")
    assert first.recv(PATIENCE_SECONDS) == b"lab-a-01 login: "
    looking, second = other.open(kind="serial", view_only=True), other.open(kind="serial")
    for line in (looking, second):
        assert line.recv(PATIENCE_SECONDS) == b"lab-a-01 login: "  # what was said before they came
    looking.send(b"no")
    second.send(b"ro")
    assert heard(end, 2) == b"ro"
    first.send(b"ot")
    assert heard(end, 2) == b"ot"
    end.sendall(b"Password: ")
    for line in (first, looking, second):
        assert line.recv(PATIENCE_SECONDS) == b"Password: "
    assert len(site.engine.consoles_opened) == 1  # QEMU would let a second one wait for ever
    for line in (first, looking, second):
        line.close()
    assert end.recv(1) == b""  # nobody listens: others may
    later = person.open(kind="serial")
    assert later.recv(PATIENCE_SECONDS) == b"lab-a-01 login: Password: "


def test_a_slow_listener_loses_the_oldest(persons: Callable[[], Person], played: list[socket.socket]) -> None:
    person = persons()
    fast, slow = person.open(kind="serial"), person.open(kind="serial")
    end, seen = end_of(played), 0
    line = b"0123456789abcdef" * 4096
    for _ in range(300):
        end.sendall(line)
        got = 0
        while got < len(line):
            got += len(fast.recv(PATIENCE_SECONDS))
        seen += got
    assert seen == 300 * len(line)
    taken, told = 0, b""
    while taken < EAR_AND_SOCKETS and b"left out" not in told:
        told = bytes(slow.recv(PATIENCE_SECONDS))  # type: ignore[arg-type]
        taken += len(told)
    assert b"bytes left out: this connection is slow]" in told


EAR_AND_SOCKETS = 300 * 65536


def test_the_page(persons: Callable[[], Person]) -> None:
    client = persons().client
    answer = client.get("/guests/lab-a-01/console")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "img-src 'self' blob: data:;" in policy
    assert 'data-view-only="no"' in answer.text
    assert "<style" not in answer.text
    again = client.get("/guests/lab-a-01/console", params={"kind": "serial", "view_only": "true"})
    assert again.headers["content-security-policy"] != policy  # a nonce counts once
    assert 'data-view-only="yes"' in again.text
    assert "console/serial.js" in again.text
    assert client.get("/guests/nobody-01/console").status_code == 404
    for name in ("novnc/core/rfb.js", "xterm/lib/xterm.mjs"):
        file = client.get(f"/static/vendor/{name}")
        assert "javascript" in file.headers["content-type"], name
