# SPDX-License-Identifier: MIT
"""Consoles of a real guest, seen from a browser: its screen, its serial line, and what an engine's death does to them."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.system import netns
from tests.system.conftest import MakeHouse
from tests.system.house import GATEWAY, PORT, House, guest, wait_for
from tests.web.viewer import PATIENCE_SECONDS, Viewer, ending, spend

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]

ADDRESS = f"{GATEWAY}:{PORT}"


class Desk:
    """Somebody signed in, at a browser in the controller's namespace."""

    def __init__(self, house: House) -> None:
        self.house = house
        code = house.call("code")["code"]
        status, _, headers = self.post("/enter", {"code": code})
        assert status == 303
        self.cookie = headers["Set-Cookie"].split(";")[0]

    def post(self, path: str, form: dict[str, str]) -> tuple[int, bytes, http.client.HTTPMessage]:
        line = http.client.HTTPConnection(GATEWAY, PORT)
        line.sock = netns.connect(self.house.namespace, GATEWAY, PORT, 60.0)
        kept = {"Cookie": self.cookie} if hasattr(self, "cookie") else {}
        told = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **kept}
        line.request("POST", path, urllib.parse.urlencode(form), told)
        answer = line.getresponse()
        body = answer.read()
        line.close()
        return answer.status, body, answer.headers

    def ticket(self, name: str, kind: str, *, view_only: bool = False) -> str:
        status, body, _ = self.post("/consoles", {"guest": name, "kind": kind, "view_only": str(view_only).lower()})
        assert status == 201, body
        return str(json.loads(body)["ticket"])

    @contextmanager
    def dial(self) -> Iterator[ClientConnection]:
        sock = netns.connect(self.house.namespace, GATEWAY, PORT, 60.0)
        with connect(
            f"ws://{ADDRESS}/console",
            sock=sock,
            additional_headers={"Cookie": self.cookie},
            origin=f"http://{ADDRESS}",  # type: ignore[arg-type]
            max_size=None,
            compression=None,
            proxy=None,
            ping_interval=None,
            open_timeout=PATIENCE_SECONDS,
        ) as line:
            yield line

    @contextmanager
    def console(self, name: str, kind: str, *, view_only: bool = False) -> Iterator[ClientConnection]:
        with self.dial() as line:
            assert spend(line, self.ticket(name, kind, view_only=view_only))["view_only"] is view_only
            yield line


def said(line: ClientConnection, pattern: str) -> str:
    """What the serial line said up to what matches."""
    heard = b""
    while not re.search(pattern, heard.decode(errors="replace")):
        heard += bytes(line.recv(PATIENCE_SECONDS))  # type: ignore[arg-type]
    return heard.decode(errors="replace")


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house(deep=True)
    house.set_up(tiny, 1)
    with (house.state / "labvirt.toml").open("a") as settings:
        settings.write("start_timeout_seconds = 1800\n")  # a loaded machine boots it slowly, and it must not be begun anew meanwhile
    house.serve()
    house.call("guest", "start", guest(1))
    wait_for(lambda: house.state_of(1) == "running", "the guest runs", 150)
    return house


@pytest.fixture(scope="module")
def desk(house: House) -> Desk:
    return Desk(house)


def test_the_screen_shows_and_takes_keys(desk: Desk) -> None:
    """Typed through the screen, read by a program inside, and told over the serial line: one key's whole way."""
    name = guest(1)
    with desk.console(name, "screen") as screen, desk.console(name, "serial") as serial:
        viewer = Viewer(screen)
        picture = viewer.picture()
        assert len({picture[at : at + 4] for at in range(0, len(picture), 400)}) > 3, "a picture with colours"
        serial.send(b"exec stty -F /dev/tty1 sane; echo ready; head -n 1 </dev/tty1\n")
        said(serial, r"ready\s")
        viewer.type("labvirt types\n")
        assert "labvirt types" in said(serial, r"exit \d+")
        assert viewer.picture() != picture  # the tty has echoed it


def test_who_only_looks_types_nothing(desk: Desk) -> None:
    name = guest(1)
    with desk.console(name, "screen", view_only=True) as screen, desk.console(name, "serial") as serial:
        viewer = Viewer(screen)
        viewer.picture()
        with desk.console(name, "screen") as other:
            typing = Viewer(other)
            typing.picture()
            serial.send(b"exec echo ready; head -n 1 </dev/tty1\n")
            said(serial, r"ready\s")
            viewer.type("forbidden\n")
            assert viewer.picture()  # the server has read past it
            typing.type("allowed\n")
            told = said(serial, r"exit \d+")
        assert "allowed" in told
        assert "forbidden" not in told


def test_the_serial_line_answers_and_has_one_listener_outside_of_the_pages(desk: Desk, house: House) -> None:
    name = guest(1)
    with desk.console(name, "serial") as serial:
        serial.send(b"ping\n")
        assert "pong" in said(serial, r"pong")
        refused = house.run("console", name)
        assert refused.code != 0
        assert "open elsewhere" in refused.sentence
    typed = wait_for(lambda: by_hand(house, name, b"ping\n"), "the command line gets the line")
    assert b"pong" in typed


def by_hand(house: House, name: str, typed: bytes) -> bytes:
    argv = [sys.executable, "-m", "labvirt", "--state", str(house.state), "console", name]
    return subprocess.run(argv, input=typed, capture_output=True, timeout=120, env=house._environment()).stdout


def test_the_way_to_the_screen_is_a_socket(house: House) -> None:
    told = house.call("console", guest(1), "--vnc")
    assert Path(told["socket"]).is_socket()
    listening = netns.inside(house.namespace, lambda: subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout)
    assert not re.search(r":59\d\d\s", listening), listening


def test_an_engine_that_dies_takes_no_console_with_it(desk: Desk, house: House) -> None:
    name = guest(1)
    with desk.console(name, "serial") as serial, desk.console(name, "screen") as screen:
        viewer = Viewer(screen)
        engine = house.part("engine")
        house.kill(engine)
        wait_for(lambda: house.gone(engine), "the engine is gone")
        serial.send(b"ping\n")
        assert "pong" in said(serial, r"pong")
        assert viewer.picture()
        house.wait_engine()


def test_a_guest_that_is_switched_off_ends_them_with_a_sentence(desk: Desk, house: House) -> None:
    name = guest(1)
    ticket = desk.ticket(name, "screen")
    with desk.console(name, "screen") as screen:
        Viewer(screen)
        house.call("guest", "stop", name, "--how", "stop")
        code, sentence = ending(screen)
        assert code == 4000
        assert "switched off" in sentence
    house.call("guest", "start", name)
    wait_for(lambda: house.state_of(1) == "running", "the guest runs again", 150)
    with desk.dial() as late, pytest.raises(ConnectionClosed) as refused:
        spend(late, ticket)
    assert refused.value.rcvd is not None
    assert "started anew" in refused.value.rcvd.reason
