# SPDX-License-Identifier: MIT
"""A site with a lab, terminals, a profile, an image and guests, and a signed-in client of its API, without a socket."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from labvirt.domain.guest import GuestState
from labvirt.usecases import setup, sign_in
from labvirt.usecases.figures import figures
from labvirt.usecases.ports import Ports
from labvirt.usecases.sign_in import From
from labvirt.web.app import create_flask
from labvirt.web.figures import Exposition
from labvirt.web.past import Past
from labvirt.web.published import Published
from labvirt.web.ui.guard import Guard
from labvirt.web.ui.knock import COOKIE
from tests.fakes.engine import FakeEngineLink
from tests.fakes.ports import ports_in
from tests.web.lab import MovableClock, guest, make

ROOT = "/api/v1"


@dataclass
class Api:
    """A client that is signed in."""

    ports: Ports
    app: Flask
    client: FlaskClient
    clock: MovableClock
    engine: FakeEngineLink

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(ROOT + path, **more)

    def post(self, path: str, told: Any = None, **more: Any) -> TestResponse:
        return self.client.post(ROOT + path, **({"json": told} if told is not None else {}), **more)

    def patch(self, path: str, told: Any, **more: Any) -> TestResponse:
        return self.client.patch(ROOT + path, json=told, **more)

    def put(self, path: str, told: Any, **more: Any) -> TestResponse:
        return self.client.put(ROOT + path, json=told, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.client.delete(ROOT + path, **more)


def client_of(ports: Ports, *, signed_in: bool = True) -> tuple[Flask, FlaskClient]:
    """The application over these doors, and a client of it."""
    published = Published(ports.engine)
    app = create_flask(ports, published, Guard(ports), Exposition(lambda: figures(ports)), Past(ports, published))
    client = app.test_client()
    if signed_in:
        enter(ports, client)
    return app, client


def enter(ports: Ports, client: FlaskClient) -> None:
    """The client is signed in by the shell's code: a sign-in lasts some hours."""
    opened = sign_in.by_code(ports, setup.sign_in_code(ports), who=From(address="127.0.0.1"))
    client.set_cookie(COOKIE, opened.token)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site in a folder, to be copied: lab-a with four terminals, two of them with guests."""
    folder = tmp_path_factory.mktemp("template")
    make(folder)
    clock = MovableClock()
    ports = ports_in(folder, clock=clock)
    with ports.database.write() as work:
        for seat, state in ((1, GuestState.RUNNING), (2, GuestState.STOPPED)):
            work.guests.add(guest(seat, state, clock.now()))
        work.commit()
    ports.database.close()
    return folder


@pytest.fixture
def api(tmp_path: Path, template: Path) -> Iterator[Api]:
    """A site of the test's own."""
    yield from _served(tmp_path / "site", template)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Api]:
    """One for all tests of a module that change nothing, or nothing that the others look at."""
    yield from _served(tmp_path_factory.mktemp("shared") / "site", template)


def _served(folder: Path, template: Path) -> Iterator[Api]:
    clock = MovableClock()
    ports = ports_in(Path(shutil.copytree(template, folder)), clock=clock)
    app, client = client_of(ports)
    assert isinstance(ports.engine, FakeEngineLink)
    yield Api(ports, app, client, clock, ports.engine)
    ports.database.close()
