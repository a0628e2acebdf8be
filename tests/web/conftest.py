# SPDX-License-Identifier: MIT
"""A site in a folder, served by the real server on 127.0.0.1, and browsers and terminals that talk to it."""

from __future__ import annotations

import functools
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from labvirt.usecases import setup, sign_in
from labvirt.usecases.ports import Ports
from labvirt.usecases.sign_in import From, Opened
from labvirt.web.app import Application
from labvirt.web.main import server
from labvirt.web.ui.knock import COOKIE

from .lab import CA, FakeEngine, enter, make

PATIENCE_SECONDS = 60.0


def until(true: Callable[[], Any], what: str) -> Any:
    """What `true` returns as soon as it is something; fails with `what` after a long time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := true()):
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.005)
    return result


@dataclass
class Site:
    """A controller's web process in a thread of this one."""

    ports: Ports
    engine: FakeEngine
    code: str
    app: Application
    url: str = ""
    address: tuple[str, int] = ("", 0)
    _clients: list[httpx.Client] = field(default_factory=list)

    def client(self, **more: Any) -> httpx.Client:
        """Somebody without a sign-in."""
        made = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, **more)
        self._clients.append(made)
        return made

    def browser(self) -> httpx.Client:
        """Somebody who is signed in and may everything: the administrator of the shell."""
        return self.client(cookies={COOKIE: self.shell().token})

    def shell(self) -> Opened:
        """A sign-in of that administrator."""
        return sign_in.by_code(self.ports, setup.sign_in_code(self.ports), who=From(address="127.0.0.1"))

    def raw(self, request: bytes) -> socket.socket:
        """A connection that has said this much."""
        connection = socket.create_connection(self.address, timeout=PATIENCE_SECONDS)
        connection.sendall(request)
        return connection

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, str]]:
    """Sites that were set up once, to be copied; with the set-up code."""
    return functools.cache(lambda **more: (folder := tmp_path_factory.mktemp("made"), make(folder, **more)))


@pytest.fixture
def serve(tmp_path: Path, made: Callable[..., tuple[Path, str]]) -> Iterator[Callable[..., Site]]:
    """Makes sites that are served; they are gone at the end of the test."""
    ends: list[Callable[[], None]] = []

    def start(clock: Any = None, **more: Any) -> Site:
        template, code = made(**more)
        folder = Path(shutil.copytree(template, tmp_path / f"site-{len(ends)}"))
        ports, engine = enter(folder, clock)
        app = Application(ports=ports, ca_pem=lambda: CA)
        listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        running = server(app)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        address = listening.getsockname()
        site = Site(ports, engine, code, app, f"http://127.0.0.1:{address[1]}", address)

        def end() -> None:
            site.close()
            if engine.hold_pictures is not None:
                engine.hold_pictures.set()
            running.should_exit = True
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
            engine.set_away(True)
            ports.database.close()
            listening.close()

        ends.append(end)
        until(lambda: running.started, "the server")
        return site

    yield start
    for end in reversed(ends):
        end()


@pytest.fixture
def site(serve: Callable[..., Site]) -> Site:
    """Four terminals, no guest yet."""
    return serve()
