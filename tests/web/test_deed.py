# SPDX-License-Identifier: MIT
"""POST /terminals/deed: only from the leased address, only what the settings allow, not too often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from labvirt.domain.guest import Guest, GuestState
from labvirt.usecases import power, settings, terminals
from labvirt.usecases.settings import Level, Scope

from .conftest import Site
from .lab import MovableClock, guest, lease, put, terminal_mac
from .test_ticket import give_lease, run

DEED = "/terminals/deed"
LAB = Level(scope=Scope.LAB, subject="lab-a")
RESTART = {"id": str(terminal_mac(1)), "deed": "restart-guest"}
FRESH = RESTART | {"deed": "fresh-guest"}


@pytest.fixture
def resets(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The guests whose reset button was pressed."""
    pressed: list[str] = []
    monkeypatch.setattr(site.engine, "reset", pressed.append)
    return pressed


def now(site: Site) -> Guest:
    return power.one(site.ports, "lab-a-01")


def test_only_from_the_leased_address_and_only_what_is_allowed(site: Site, resets: list[str]) -> None:
    run(site)
    client = site.client()
    settings.change(site.ports, LAB, "allow", "restart-guest")
    assert client.post(DEED, data=RESTART).status_code == 403  # no lease
    give_lease(site, seat=2)
    assert client.post(DEED, data=RESTART).status_code == 403  # somebody else's
    assert resets == []
    give_lease(site)
    assert client.post(DEED, data=RESTART).status_code == 204
    assert resets == ["lab-a-01"]
    before = now(site)
    refused = client.post(DEED, data=FRESH | {"format": "json"})
    assert refused.status_code == 403
    assert refused.json()["message"] == "The person at lab-a-t01 may not do this: fresh-guest."
    assert now(site) == before
    settings.change(site.ports, LAB, "allow", "fresh-guest")
    assert client.post(DEED, data=FRESH).status_code == 204
    assert now(site).generation == before.generation + 1
    assert now(site).state is GuestState.WANTED
    with site.ports.database.read() as work:
        noted = [entry.what for entry in work.audit.last(9, "lab-a-01")]
    assert "reset by the person at lab-a-t01" in noted
    assert "a fresh run was wanted by the person at lab-a-t01" in noted
    assert client.post(DEED, data=RESTART | {"id": "nobody"}).status_code == 404
    for deed in ("power", "reboot", "", "x" * 300):
        assert client.post(DEED, data=RESTART | {"deed": deed}).status_code == 400
    assert client.get(DEED).status_code == 405


def test_not_while_it_starts_and_not_at_a_terminal_that_is_off(site: Site, resets: list[str]) -> None:
    settings.change(site.ports, LAB, "allow", "restart-guest,fresh-guest")
    give_lease(site)
    client = site.client()
    run(site, GuestState.STARTING)
    for wanted in (RESTART, FRESH):
        assert client.post(DEED, data=wanted).status_code == 409
    failed = guest(1, GuestState.FAILED, site.ports.clock.now())
    put(site.ports, site.engine, failed)
    terminals.change(site.ports, "lab-a-t01", active=False)
    assert client.post(DEED, data=RESTART).status_code == 403
    assert now(site).state is GuestState.FAILED
    terminals.change(site.ports, "lab-a-t01", active=True)
    assert client.post(DEED, data=RESTART).status_code == 204  # one that failed is started, without its pause
    assert now(site).state is GuestState.WANTED
    assert resets == []


def test_not_too_often_by_one_terminal(serve: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    monkeypatch.setattr(site.engine, "reset", lambda name: None)
    settings.change(site.ports, Level(), "allow", "restart-guest")
    put(site.ports, site.engine, *(guest(seat, GuestState.RUNNING, clock.now()) for seat in (1, 2)))
    client = site.client()
    give_lease(site)
    assert [client.post(DEED, data=RESTART).status_code for _ in range(4)] == [204, 204, 204, 429]
    refused = client.post(DEED, data=RESTART)
    assert 0 < int(refused.headers["retry-after"]) <= 120
    address = site.engine.lease_list[0].address
    site.engine.lease_list[:] = [replace(lease(terminal_mac(2), address, now=clock.now()))]
    assert client.post(DEED, data=RESTART | {"id": str(terminal_mac(2))}).status_code == 204  # another's turn
    clock.move(121)
    give_lease(site)
    assert client.post(DEED, data=RESTART).status_code == 204
