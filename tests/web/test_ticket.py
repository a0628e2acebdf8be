# SPDX-License-Identifier: MIT
"""POST /terminals/ticket and /terminals/heartbeat: only from the address whose lease belongs to that terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import httpx
import pytest

from labvirt.contracts.engine import DisplayTicket
from labvirt.domain.guest import GuestState
from labvirt.domain.profile import Protocol
from labvirt.errors import AgentSilent
from labvirt.web import app

from .conftest import Site
from .lab import LOCAL, MovableClock, guest, lease, put, terminal_mac

TICKET = "/terminals/ticket"
BEAT = "/terminals/heartbeat"
MINE = {"id": str(terminal_mac(1))}


def give_lease(site: Site, seat: int = 1) -> None:
    site.engine.lease_list[:] = [lease(terminal_mac(seat), LOCAL, now=site.ports.clock.now())]


def run(site: Site, state: GuestState = GuestState.RUNNING) -> None:
    put(site.ports, site.engine, guest(1, state, site.ports.clock.now()))


def lines(answer: httpx.Response) -> dict[str, str]:
    return dict(line.split("=", 1) for line in answer.text.splitlines())  # type: ignore[misc]


def test_ticket_for_the_holder_of_the_lease_only(site: Site) -> None:
    run(site)
    client = site.client()
    assert client.post(TICKET, data=MINE).status_code == 403  # no lease at all
    give_lease(site, seat=2)
    assert client.post(TICKET, data=MINE).status_code == 403  # somebody else's
    forged = {"X-Forwarded-For": "10.77.0.65", "Forwarded": "for=10.77.0.65", "X-Real-IP": "10.77.0.65"}
    site.engine.lease_list.append(lease(terminal_mac(1), site.ports.engine.leases("lab-a")[0].address + 1, now=site.ports.clock.now()))
    assert client.post(TICKET, data=MINE, headers=forged).status_code == 403
    assert site.engine.minted == []
    give_lease(site)
    answer = client.post(TICKET, data=MINE)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told = lines(answer)
    assert told["guest"] == "lab-a-01"
    assert told["secret"] == site.engine.minted[0][2]
    assert site.engine.minted[0][:2] == ("lab-a-01", LOCAL)
    other = client.post(TICKET, data=MINE | {"format": "json"}).json()
    assert other["secret"] != told["secret"]
    assert (other["port"], other["expires_seconds"]) == (20001, 30)


def test_expired_and_doubtful_leases_prove_nothing(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    run(site)
    give_lease(site)
    assert site.client().post(TICKET, data=MINE).status_code == 200
    site.engine.lease_list.append(lease(terminal_mac(2), LOCAL, now=clock.now()))  # two claim one address
    assert site.client().post(TICKET, data=MINE).status_code == 403
    give_lease(site)
    clock.move(timedelta(hours=13).total_seconds())
    assert site.client().post(TICKET, data=MINE).status_code == 403


def test_other_refusals_of_the_ticket(site: Site) -> None:
    client = site.client()
    give_lease(site)
    unknown = client.post(TICKET, data={"id": "52:54:00:00:00:99"})
    assert unknown.status_code == 404
    not_ready = client.post(TICKET, data=MINE | {"format": "json"})
    assert (not_ready.status_code, not_ready.json()["retry_seconds"], not_ready.headers["retry-after"]) == (409, 2, "2")
    run(site, GuestState.STARTING)
    assert client.post(TICKET, data=MINE).status_code == 409
    run(site)
    assert client.get(TICKET).status_code == 405
    assert client.post(TICKET, data=MINE | {"format": "xml"}).status_code == 400
    for bad in ("x" * 300, "a b", "\n", "über", ""):
        assert client.post(TICKET, data={"id": bad}).status_code == 400
    site.engine.set_away(True)
    away = client.post(TICKET, data=MINE)
    assert (away.status_code, away.headers["retry-after"]) == (503, "2")
    site.engine.set_away(False)
    with site.ports.database.write() as work:
        work.terminals.update(replace(work.terminals.one("lab-a-t01"), active=False))
        work.commit()
    assert client.post(TICKET, data=MINE).status_code == 403
    assert site.engine.minted == []


def test_ticket_too_often(site: Site) -> None:
    run(site)
    give_lease(site)
    client = site.client()
    answers = [client.post(TICKET, data=MINE) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert lines(answers[-1])["retry_seconds"] == answers[-1].headers["retry-after"]


def test_rdp_needs_no_ticket_when_its_profile_names_no_user(serve: Callable[..., Site]) -> None:
    site = serve(protocol=Protocol.RDP, user=None)
    run(site)
    give_lease(site)
    with site.ports.database.write() as work:
        work.classes.update(replace(work.classes.one("rdp"), template="/v:%ADDRESS%:%PORT%"))
        work.commit()
    client = site.client()
    assert client.get("/terminals/config", params=MINE | {"format": "json", "wait": "0"}).json()["secret"] == "none"
    refused = client.post(TICKET, data=MINE)
    assert refused.status_code == 409
    assert "needs no ticket" in lines(refused)["message"]
    rdp = client.get("/terminals/config", params=MINE | {"format": "rdp", "wait": "0"})
    assert rdp.headers["content-type"] == "application/x-rdp"
    assert rdp.text.startswith("full address:s:10.77.0.129:3389\r\n")


def test_a_login_is_told_with_user_and_fingerprint(serve: Callable[..., Site]) -> None:
    site = serve(protocol=Protocol.RDP)
    run(site)
    give_lease(site)
    client = site.client()
    config = client.get("/terminals/config", params=MINE | {"format": "json", "wait": "0"})
    assert (config.json()["secret"], config.json()["address"]) == ("ticket", "10.77.0.129")
    login = DisplayTicket(
        guest="lab-a-01",
        address=IPv4Address("10.77.0.129"),
        port=3389,
        secret="S3cretWord",
        expires_seconds=30,
        user="student",
        fingerprint="ab" * 32,
    )
    assert "S3cretWord" not in repr(login)
    site.engine.login = login
    answer = client.post(TICKET, data=MINE)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert lines(answer) == {
        "guest": "lab-a-01",
        "protocol": "rdp",
        "address": "10.77.0.129",
        "port": "3389",
        "user": "student",
        "secret": "S3cretWord",
        "fingerprint": "ab" * 32,
        "expires_seconds": "30",
    }
    site.engine.login = replace(login, fingerprint=None)
    assert "fingerprint" not in client.post(TICKET, data=MINE | {"format": "json"}).json()
    give_lease(site, seat=2)
    assert client.post(TICKET, data=MINE).status_code == 403


def test_a_silent_agent_is_said_and_asked_again(serve: Callable[..., Site]) -> None:
    site = serve(protocol=Protocol.RDP)
    run(site)
    give_lease(site)
    site.engine.login = AgentSilent("lab-a-01")
    answer = site.client().post(TICKET, data=MINE | {"format": "json"})
    told = answer.json()
    assert (answer.status_code, told["code"], told["retry_seconds"], answer.headers["retry-after"]) == (409, "agent-silent", 2, "2")
    assert told["message"] == "The computer lab-a-01 is up, but its agent does not answer yet."
    site.engine.login = None
    assert site.client().post(TICKET, data=MINE).status_code == 200


def test_other_sites_pages_cannot_use_the_terminals_routes(site: Site) -> None:
    run(site)
    give_lease(site)
    client = site.client()
    assert client.post(TICKET, data=MINE, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post(TICKET, data=MINE, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post(TICKET, data=MINE, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_heartbeat(site: Site) -> None:
    client = site.client()
    assert client.post(BEAT, data=MINE | {"viewer": "running"}).status_code == 403
    give_lease(site)
    said = {"viewer": "ended", "viewer_exit": "-9", "viewer_seconds": "12", "kiosk": "1.0\nx", "error": "it\n\x1b[31mfell\u202e over"}
    answer = client.post(BEAT, data=MINE | said)
    assert (answer.status_code, answer.content) == (204, b"")
    with site.ports.database.read() as work:
        (beat,) = work.heartbeats.list()
    assert (beat.terminal, beat.viewer, beat.viewer_exit, beat.viewer_seconds) == ("lab-a-t01", "ended", -9, 12)
    assert (beat.kiosk, beat.error) == ("1.0 x", "it [31mfell over")
    for wrong in ({"viewer": "dancing"}, {}, {"viewer": "ended", "viewer_exit": "x"}, {"viewer": "ended", "viewer_seconds": "9" * 5000}):
        assert client.post(BEAT, data=MINE | wrong).status_code == 400
    assert client.post(BEAT, data={"id": "PC-99", "viewer": "none"}).status_code == 404
    assert client.get(BEAT).status_code == 405


def test_bodies_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    give_lease(site)
    client = site.client()
    assert client.post(BEAT, data=MINE | {"viewer": "none", "error": "x" * 70_000}).status_code == 413
    assert client.post(BEAT, content=iter([b"x" * 40_000] * 2)).status_code == 413  # chunked: no length to look at
    assert client.post(BEAT, data=MINE | {"viewer": "none", "error": "x" * 3000}).status_code == 204
    monkeypatch.setattr(app, "BODY_SECONDS", 0.2)
    head = f"POST {BEAT} HTTP/1.1\r\nHost: lab\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\nid=".encode()
    slow = [site.raw(head) for _ in range(2 * app.THREADS)]
    assert client.post(BEAT, data=MINE | {"viewer": "none"}).status_code == 204  # they hold no thread
    for connection in slow:
        with connection:
            assert connection.recv(200).split(b" ", 2)[1] == b"408"
