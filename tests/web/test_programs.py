# SPDX-License-Identifier: MIT
"""Programs with a token at the routes outside of /api/v1: uploads and events, with the token's own rights, until it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from labvirt.domain.caller import Grant
from labvirt.domain.right import Right, Role
from labvirt.usecases import jobs, people, tokens
from labvirt.web import uploads
from labvirt.web.ui import events
from labvirt.web.ui.knock import COOKIE

from .conftest import Site, until
from .lab import MovableClock
from .test_pages import run
from .test_uploads import JSON, begin, offset, send, stored

CONTENT = b"labvirt " * 131_072
SHA = hashlib.sha256(CONTENT).hexdigest()
SENDING = frozenset({Right.STORE})


def program(site: Site, person: str, rights: frozenset[Right] | None = None, *, days: int = 2) -> httpx.Client:
    """A program of this person, who becomes one if need be."""
    name = f"own-{len(tokens.everything(site.ports))}"
    return site.client(headers={"Authorization": f"Bearer {tokens.add(site.ports, name, person=person, rights=rights, days=days).secret}"})


def person(site: Site, name: str, role: Role, lab: str | None = None) -> None:
    people.add(site.ports, name, grants=(Grant(role, lab),))


def tries(client: httpx.Client, id: str) -> dict[str, int]:
    """Everything that uploads can be asked, without harm; status of each."""
    told = {"name": "other", "format": "raw", "size": 8}
    return {
        "begin": client.post("/uploads", json=told, headers=JSON).status_code,
        "list": client.get("/uploads", headers=JSON).status_code,
        "show": client.get(f"/uploads/{id}", headers=JSON).status_code,
        "send": send(client, id, 0, b"x").status_code,
        "finish": client.post(f"/uploads/{id}/finish", json={"sha256": SHA}, headers=JSON).status_code,
        "give up": client.delete(f"/uploads/{id}", headers=JSON).status_code,
    }


def test_a_program_uploads_a_disk(site: Site) -> None:
    person(site, "anna", Role.ADMINISTRATOR)
    script = program(site, "anna", SENDING)
    id = begin(script, size=len(CONTENT))
    assert send(script, id, 0, CONTENT[:500_000]).status_code == 204
    assert offset(script, id) == 500_000
    assert send(script, id, 500_000, CONTENT[500_000:]).status_code == 204
    assert stored(site, id) == CONTENT
    assert [each["by"] for each in script.get("/uploads").json()["uploads"]] == ["anna (token own-0)"]
    done = script.post(f"/uploads/{id}/finish", json={"sha256": SHA}, headers=JSON)
    assert done.status_code == 202, done.text
    assert jobs.one(site.ports, done.json()["job"]).asked_by == "anna (token own-0)"
    other = begin(script, name="unwanted")
    assert script.delete(f"/uploads/{other}", headers=JSON).status_code == 204


def test_a_token_uploads_only_what_it_and_its_person_may(site: Site) -> None:
    person(site, "anna", Role.ADMINISTRATOR)
    person(site, "tom", Role.TEACHER)
    person(site, "mia", Role.LAB_MANAGER, "lab-a")
    browser = site.browser()
    id = begin(browser, size=len(CONTENT))
    for client in (
        program(site, "anna", frozenset({Right.OPERATE})),
        program(site, "tom"),
        program(site, "tom", SENDING),
        program(site, "mia"),
    ):
        assert set(tries(client, id).values()) == {403}
    secret = program(site, "anna", SENDING).headers["Authorization"]
    for wrong in ("Bearer lvt_wrong", "Bearer", "Bearer lvt_", secret[:-1], secret + "x", secret.replace("Bearer", "Basic"), "Bearer é"):
        stranger = site.client(headers={"Authorization": wrong.encode()})
        assert set(tries(stranger, id).values()) == {401}, wrong
        assert send(stranger, id, 0, b"x").headers["WWW-Authenticate"].startswith("Bearer")
    # A wrong token is nobody's, whatever cookie comes with it.
    assert set(tries(site.client(headers={"Authorization": "Bearer lvt_x"}, cookies=dict(browser.cookies)), id).values()) == {401}
    assert (stored(site, id), offset(browser, id)) == (b"", 0)
    assert len(browser.get("/uploads").json()["uploads"]) == 1
    good = tries(program(site, "anna", SENDING), id)  # the positive control
    assert good == {"begin": 201, "list": 200, "show": 200, "send": 204, "finish": 409, "give up": 204}


def test_a_page_of_another_site_uploads_nothing_with_a_token_either(site: Site) -> None:
    person(site, "anna", Role.ADMINISTRATOR)
    script = program(site, "anna", SENDING)
    id = begin(script)
    assert send(script, id, 0, b"x", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert send(script, id, 0, b"x", Origin="https://evil.example").status_code == 403
    assert send(script, id, 0, b"x").status_code == 204


def ended(how: str, site: Site, clock: MovableClock) -> None:
    if how == "expired":
        clock.move(3 * 24 * 3600)
    elif how == "taken back":
        tokens.remove(site.ports, tokens.everything(site.ports, "anna")[0].id)
    elif how == "not active":
        people.change(site.ports, "anna", active=False)
    else:
        people.change(site.ports, "anna", grants=(Grant(Role.VIEWER),))


WAYS = ("expired", "taken back", "not active")


@pytest.mark.parametrize("how", [*WAYS, "fewer rights"])
def test_what_ends_a_token_ends_its_uploads(serve: Callable[..., Site], how: str) -> None:
    clock = MovableClock()
    site = serve(clock)
    person(site, "boss", Role.ADMINISTRATOR)
    person(site, "anna", Role.ADMINISTRATOR)
    script, lasting = program(site, "anna", SENDING), program(site, "boss", SENDING, days=9)
    id = begin(script)
    assert send(script, id, 0, b"x").status_code == 204
    ended(how, site, clock)
    assert set(tries(script, id).values()) == {403 if how == "fewer rights" else 401}
    assert send(lasting, id, 1, b"y").status_code == 204
    assert stored(site, id) == b"xy"


@pytest.mark.parametrize("how", [*WAYS, "fewer rights", "nothing"])
def test_what_ends_a_token_ends_a_piece_under_way(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(uploads, "ASKED_AGAIN_SECONDS", 0.0)
    clock = MovableClock()
    site = serve(clock)
    person(site, "boss", Role.ADMINISTRATOR)
    person(site, "anna", Role.ADMINISTRATOR)
    script = program(site, "anna", SENDING)
    id = begin(script, size=len(CONTENT))
    head = f"PATCH /uploads/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: {script.headers['Authorization']}\r\nUpload-Offset: 0\r\n"
    with site.raw(f"{head}Content-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:1000]) as connection:
        until(lambda: site.app.pieces._open == 1, "the piece under way")
        if how != "nothing":
            ended(how, site, clock)
        connection.sendall(CONTENT[1000:])
        status = int(connection.recv(4096).split()[1])
    assert status == {"nothing": 204, "fewer rights": 403}.get(how, 401)
    until(lambda: site.app.pieces._open == 0, "the piece let go")
    assert (len(stored(site, id)) == len(CONTENT)) == (how == "nothing")


@contextmanager
def listening(client: httpx.Client) -> Iterator[Any]:
    with client.stream("GET", "/events") as stream:
        assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream")
        heard = stream.iter_lines()
        assert next(heard) == "event: hello"
        yield heard


def test_programs_hear_events(site: Site) -> None:
    person(site, "tom", Role.TEACHER, "lab-a")
    for number, rights in enumerate((None, frozenset({Right.OPERATE}), frozenset[Right]()), 1):
        with listening(program(site, "tom", rights)) as heard:
            run(site, number)
            assert "event: change" in (next(heard) for _ in range(10))
    secret = program(site, "tom").headers["Authorization"]
    for wrong in ("Bearer lvt_wrong", "Bearer", secret[:-1], secret.replace("Bearer", "Basic")):
        refused = site.client(headers={"Authorization": wrong}).get("/events")
        assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer"), wrong
    cookies = {COOKIE: site.shell().token}
    assert site.client(headers={"Authorization": "Bearer lvt_x"}, cookies=cookies).get("/events").status_code == 401


@pytest.mark.parametrize("how", WAYS)
def test_what_ends_a_token_ends_its_stream(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(events, "ASKED_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    clock = MovableClock()
    site = serve(clock)
    person(site, "boss", Role.ADMINISTRATOR)
    person(site, "anna", Role.TEACHER)
    script = program(site, "anna")
    with listening(program(site, "boss", days=9)) as lasting, listening(script) as heard:
        assert [next(heard) for _ in range(6)][-1] is not None  # it goes on while the token is good
        ended(how, site, clock)
        list(heard)  # ends
        until(lambda: site.app.events.open == 1, "the stream forgotten")
        assert next(lasting) is not None
    assert script.get("/events").status_code == 401
