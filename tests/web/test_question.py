# SPDX-License-Identifier: MIT
"""GET /terminals/config: what the protocol page promises, and what it refuses (docs/reference/terminal-protocol.md, section 1)."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from labvirt.database import connections
from labvirt.domain.guest import GuestState
from labvirt.usecases import settings
from labvirt.usecases.asking import Asked
from labvirt.usecases.settings import Level
from labvirt.web.terminal import question

from .conftest import Site, until
from .lab import LOCAL, MovableClock, guest, lease, put, terminal_mac

ASK = "/terminals/config"


def lines(answer: httpx.Response) -> dict[str, str]:
    """The plain answer as a simple client reads it; every line must be key=value and no key may come twice."""
    pairs = [line.split("=", 1) for line in answer.text.removesuffix("\n").split("\n")]
    assert all(len(pair) == 2 and pair[1] for pair in pairs), answer.text
    told = dict(map(tuple, pairs))
    assert len(told) == len(pairs)
    return told


def ready(site: Site, seat: int = 1) -> None:
    put(site.ports, site.engine, guest(seat, GuestState.RUNNING, site.ports.clock.now()))


def asker(site: Site, seat: int = 1) -> dict[str, str | int]:
    return {"id": str(terminal_mac(seat)), "wait": 0}


def test_first_question_wants_a_guest_and_pokes_the_engine(site: Site) -> None:
    told = lines(site.client().get(ASK, params=asker(site)))
    assert (told["version"], told["status"], told["guest"], told["lab"], told["seat"]) == ("1", "starting", "lab-a-01", "lab-a", "1")
    assert told["help_code"] == "LV-START-01"
    assert site.engine.pokes == 1


def test_ready_answer_in_every_form(site: Site) -> None:
    ready(site)
    client = site.client()
    plain = client.get(ASK, params=asker(site))
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert plain.headers["cache-control"] == "no-cache"
    told = lines(plain)
    assert told["program"] == "remote-viewer"
    assert told["argument_4"] == "%VV%"
    assert told["secret"] == "ticket"
    json = client.get(ASK, params=asker(site) | {"format": "json"}).json()
    assert json["arguments"] == [told[f"argument_{n}"] for n in range(1, 5)]
    assert json["settings"] == {key.removeprefix("setting_"): value for key, value in told.items() if key.startswith("setting_")}
    assert json["settings"]["sound"] == "on"
    assert {key: str(value) for key, value in json.items() if key not in ("arguments", "settings")} == {
        key: value for key, value in told.items() if not key.startswith(("argument_", "setting_"))
    }
    assert json["port"] == 20001
    vv = client.get(ASK, params=asker(site) | {"format": "vv"})
    assert vv.headers["content-type"] == "application/x-virt-viewer"
    assert vv.text.startswith("[virt-viewer]\ntype=spice\nhost=10.77.0.1\ntls-port=20001\n")
    rdp = client.get(ASK, params=asker(site) | {"format": "rdp"})  # it is SPICE: the same as plain
    assert rdp.content == plain.content


def test_held_question_wakes_when_the_guest_is_ready(site: Site) -> None:
    now = site.ports.clock.now()
    put(site.ports, site.engine, guest(1, GuestState.STARTING, now))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(site.client().get, ASK, params=asker(site) | {"wait": 60})
        until(lambda: site.app.published.waiting, "the held question")
        assert not held.done()
        put(site.ports, site.engine, guest(2, GuestState.RUNNING, now))  # somebody else's
        put(site.ports, site.engine, guest(1, GuestState.STARTING, now, reason="the next step"))  # not final
        until(lambda: site.app.published.change("lab-a-01").guest.reason, "the next step")  # type: ignore[union-attr]
        assert not held.done()
        ready(site)
        assert lines(held.result())["status"] == "ready"
    assert site.app.published.waiting == 0


def test_etag_holds_until_the_answer_differs(site: Site) -> None:
    ready(site)
    client = site.client()
    first = client.get(ASK, params=asker(site))
    etag = first.headers["etag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get(ASK, params=asker(site), headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get(ASK, params=asker(site), headers={"If-None-Match": '"other"'}).status_code == 200
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.get, ASK, params=asker(site) | {"wait": 60}, headers={"If-None-Match": etag})
        until(lambda: site.app.published.waiting, "the held question")
        now = site.ports.clock.now()
        put(site.ports, site.engine, guest(1, GuestState.PAUSED, now, reason="the disk is full"))
        assert held.result().status_code == 200
    assert lines(held.result())["waits_for"] == "the disk is full"
    assert held.result().headers["etag"] != etag
    forms = {client.get(ASK, params=asker(site) | {"format": form}).headers["etag"] for form in ("plain", "json")}
    assert len(forms) == 2  # strong: per form


def test_without_id_the_source_address_is_the_id(site: Site) -> None:
    async def ask(source: str, **headers: str) -> dict[str, str]:
        transport = httpx.ASGITransport(app=site.app, client=(source, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
            return lines(await client.get(ASK, params={"wait": 0}, headers=headers))

    assert asyncio.run(ask("10.77.0.66"))["guest"] == "lab-a-02"
    assert asyncio.run(ask("::ffff:10.77.0.67"))["guest"] == "lab-a-03"
    forged = {
        "X-Forwarded-For": "10.77.0.66",
        "Forwarded": "for=10.77.0.66",
        "X-Real-IP": "10.77.0.66",
        "Client-IP": "10.77.0.66",
        "Remote-Addr": "10.77.0.66",
    }
    told = lines(site.client().get(ASK, params={"wait": 0}, headers=forged))
    assert told["status"] == "unknown"
    with site.ports.database.read() as work:
        assert [stranger.id for stranger in work.strangers.list()] == ["127.0.0.1"]


def test_a_socket_without_address_must_name_an_id(site: Site) -> None:
    async def ask(**params: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=site.app, client=("2001:db8::7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
            return await client.get(ASK, params={"wait": "0", **params})

    assert asyncio.run(ask()).status_code == 400
    assert lines(asyncio.run(ask(id=str(terminal_mac(1)))))["guest"] == "lab-a-01"


BAD_IDS = [
    "x" * 65,
    "x" * 300,
    "",
    "two words",
    "line\nbreak",
    "\x00",
    "\x7f",
    "$(reboot) ",
    "a; rm -rf / #",
    "über",
    "\u202e",
    "日本",
]


def test_bad_ids_are_refused_in_the_asked_form(site: Site) -> None:
    client = site.client()
    for id in BAD_IDS:
        for form in ("plain", "json", "vv", "rdp"):
            answer = client.get(f"{ASK}?id={quote(id, safe='')}&format={form}&wait=0")
            assert answer.status_code == 400
            told = answer.json() if form == "json" else lines(answer)
            assert told["status"] == "error"
            assert told["message"].startswith("id: must be 1 to 64")
    with site.ports.database.read() as work:
        assert work.strangers.list() == ()
    assert client.get(f"{ASK}?id=PC-0815&wait=0").status_code == 200


STRANGE_IDS = ["$(reboot)", "`id`", "../../etc/passwd", "';DROP/**/TABLE/**/labs;--", "<script>alert(1)</script>", "%00", "{{7*7}}"]


def test_strange_but_printable_ids_are_only_strangers(site: Site) -> None:
    client = site.client()
    codes = set()
    for id in STRANGE_IDS:
        answer = client.get(ASK, params={"id": id, "wait": "0"})
        told = lines(answer)
        assert (answer.status_code, told["status"]) == (200, "unknown")
        assert len(told["enrolment_code"]) == 6
        assert told["enrolment_code"] in told["message"]
        codes.add(told["enrolment_code"])
    assert len(codes) == len(STRANGE_IDS)
    page = site.browser().get("/inbox").text
    assert all(code in page for code in codes)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


BAD_QUERIES = [
    *(b"id=%ff%fe", b"id=a&id=b", b"nid=a", b"format=xml", b"format=", b"wait=-1", b"wait=61", b"wait=nan", b"wait=x", b"wait="),
    b"a" * 2000,
    b"&".join(b"id=%d" % n for n in range(20)),
]


def test_bad_queries_are_refused(site: Site) -> None:
    client = site.client()
    for query in BAD_QUERIES:
        answer = client.get(httpx.URL(site.url + ASK, query=query))
        assert answer.status_code == 400, query
        assert lines(answer)["status"] == "error"


def test_raw_bytes_in_the_query_are_refused(site: Site) -> None:
    for path in (b"/terminals/config?id=\xff\xfe", b"/terminals/nothing?\xff", b"/?\xff\x00"):
        with site.raw(b"GET " + path + b" HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n") as connection:
            assert connection.recv(4096).split(b" ", 2)[1] == b"400"
    with site.raw(b"GET /terminals/config?id=PC-1&wait=0 HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n") as connection:
        assert connection.recv(4096).split(b" ", 2)[1] == b"200"


def test_head_and_other_methods(site: Site) -> None:
    client = site.client()
    got = client.get(ASK, params=asker(site))
    head = client.head(ASK, params=asker(site))
    assert (head.status_code, head.content) == (200, b"")
    assert {h: head.headers[h] for h in ("etag", "content-length", "content-type")} == {
        h: got.headers[h] for h in ("etag", "content-length", "content-type")
    }
    bad = client.head(ASK, params={"id": "x" * 300})
    assert (bad.status_code, bad.content) == (400, b"")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = client.request(method, ASK, params={"format": "json"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert answer.json()["status"] == "error"


def test_disconnect_frees_everything(site: Site) -> None:
    put(site.ports, site.engine, guest(1, GuestState.STARTING, site.ports.clock.now()))
    request = f"GET {ASK}?id={terminal_mac(1)}&wait=60 HTTP/1.1\r\nHost: lab\r\n\r\n".encode()
    connections_ = [site.raw(request) for _ in range(20)]
    until(lambda: site.app.published.waiting == 20, "twenty held questions")
    for connection in connections_:
        connection.close()
    until(lambda: site.app.published.waiting == 0, "all of them forgotten")
    assert site.app.question.open_lookups == 0
    assert site.client().get(ASK, params=asker(site)).status_code == 200


def test_locked_database_says_when_to_come_again(serve: Callable[..., Site], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.SETTINGS, "busy_timeout", 100)
    site = serve()
    client = site.client()
    with closing(sqlite3.connect(next(tmp_path.rglob("labvirt.db")), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stranger = {"id": "02:99:99:99:99:99", "wait": 0}
        refused = client.get(ASK, params=stranger)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        told = lines(refused)
        assert (told["status"], told["help_code"]) == ("error", "LV-DATABASE")
        assert str(tmp_path) not in refused.text  # where things lie is nobody's business here
        assert client.get(ASK, params=stranger | {"format": "json"}).json()["status"] == "error"
        known = client.get(ASK, params=asker(site))  # who has a seat sees no error because of load: it asks again
        assert (known.status_code, lines(known)["status"], lines(known)["waits_for"]) == (200, "starting", "the engine")
        other.execute("ROLLBACK")
    assert client.get(ASK, params=asker(site)).status_code == 200


def test_lookup_that_takes_too_long_is_refused_and_others_are_not_held(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    real = site.app.question._ask
    monkeypatch.setattr(question, "ASK_SECONDS", 0.2)

    def ask(id: str | None, source: IPv4Address | None) -> Asked:
        if id == "slow":
            gate.wait(20)
        return real(id, source)

    monkeypatch.setattr(site.app.question, "_ask", ask)
    client = site.client()
    try:
        slow = client.get(ASK, params={"id": "slow", "wait": 0})
        assert (slow.status_code, slow.headers["retry-after"]) == (503, "2")
        assert client.get(ASK, params=asker(site)).status_code == 200
    finally:
        gate.set()


def test_no_answer_holds_a_secret(site: Site) -> None:
    ready(site)
    site.engine.lease_list.append(lease(terminal_mac(1), LOCAL, now=site.ports.clock.now()))
    client = site.client()
    minted = client.post("/terminals/ticket", data={"id": str(terminal_mac(1))})
    secret = site.engine.minted[-1][2].encode()
    assert secret in minted.content  # where it may be
    for form in ("plain", "json", "vv", "rdp"):
        answer = client.get(ASK, params=asker(site) | {"format": form})
        assert secret not in answer.content + repr(answer.headers).encode()
        assert b"password" not in answer.content
        assert b"s3cret" not in answer.content


def test_values_cannot_break_lines(site: Site) -> None:
    nasty = "no\nstatus=ready\r\nport=1\u2028secret=x\x85\x1b[2J = a=b"
    now = site.ports.clock.now()
    failed = guest(1, GuestState.FAILED, now, reason=nasty)
    put(site.ports, site.engine, failed)
    told = lines(site.client().get(ASK, params=asker(site)))
    assert told["status"] == "failed"
    assert "port" not in told
    assert "a=b" in told["message"]
    json = site.client().get(ASK, params=asker(site) | {"format": "json"}).json()
    assert json["status"] == "failed"


def test_ca_is_needed_for_vv_only(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from labvirt.errors import DriverError

    def broken() -> str:
        raise DriverError("The authority's key cannot be read.")

    ready(site)
    monkeypatch.setattr(site.app.question, "_ca_pem", broken)
    client = site.client()
    assert client.get(ASK, params=asker(site)).status_code == 200
    assert client.get(ASK, params=asker(site) | {"format": "vv"}).status_code == 502


def test_published_change_ends_a_kept_answer(site: Site) -> None:
    ready(site)
    client = site.client()
    assert lines(client.get(ASK, params=asker(site)))["status"] == "ready"
    stopped = replace(guest(1, GuestState.SILENT, site.ports.clock.now() + timedelta(seconds=1)))
    put(site.ports, site.engine, stopped)
    until(lambda: site.app.published.change("lab-a-01").guest == stopped, "the change")  # type: ignore[union-attr]
    assert lines(client.get(ASK, params=asker(site)))["status"] == "failed"


def test_the_guess_of_the_rest_shrinks_without_being_a_change(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    began = clock.now() - timedelta(minutes=5)
    measured = replace(guest(2, GuestState.RUNNING, began), started_at=began, running_at=began + timedelta(seconds=40))
    put(site.ports, site.engine, measured, replace(guest(1, GuestState.STARTING, clock.now()), started_at=clock.now(), running_at=None))
    client = site.client()
    first = client.get(ASK, params=asker(site))
    assert lines(first)["expect_seconds"] == "40"
    clock.move(10)
    again = client.get(ASK, params=asker(site))
    assert lines(again)["expect_seconds"] == "30"
    assert again.headers["etag"] == first.headers["etag"]
    held = client.get(ASK, params=asker(site), headers={"If-None-Match": first.headers["etag"]})
    assert held.status_code == 304
    settings.change(site.ports, Level(), "sound", "off")
    clock.move(10)
    other = client.get(ASK, params=asker(site), headers={"If-None-Match": first.headers["etag"]})
    assert (other.status_code, lines(other)["setting_sound"]) == (200, "off")
