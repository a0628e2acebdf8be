# SPDX-License-Identifier: MIT
"""Who must have a second factor and has none is led to set it up, by pages and by the API; then everything is there."""

from __future__ import annotations

import re

import httpx
import pytest

from labvirt.domain.caller import Grant
from labvirt.domain.right import Role
from labvirt.domain.second_factor import Demand
from labvirt.usecases import people, phone, second_factor, sign_in
from labvirt.usecases.sign_in import From
from labvirt.web.ui.knock import COOKIE
from labvirt.web.ui.routes import ENROLLING

from .asked import about, form, rules
from .conftest import Site
from .test_matrix import program
from .two_labs import OWN, furnish

GOOD = "four words in a row"


@pytest.fixture(name="site")
def _site(site: Site) -> Site:
    furnish(site)
    people.add(site.ports, "anna", password=GOOD, grants=(Grant(Role.ADMINISTRATOR),))
    second_factor.require(site.ports, Demand.ADMINISTRATORS)
    return site


def enter(site: Site, name: str = "anna") -> httpx.Client:
    opened = sign_in.with_password(site.ports, name, GOOD, who=From(address="192.0.2.1"))
    return site.client(cookies={COOKIE: opened.token}, headers={"Accept": "text/html"})


def enrol(site: Site, client: httpx.Client) -> httpx.Response:
    """The page with the recovery codes."""
    assert client.post("/account/phone", data={"do": "begin"}).status_code == 303
    assert client.get("/account/phone.svg").status_code == 200
    shown = re.search(r"<code>([A-Z2-7 ]{32,})</code>", client.get("/account").text)
    assert shown is not None
    now = int(site.ports.clock.now().timestamp()) // 30
    return client.post("/account/phone", data={"do": "finish", "code": phone.code_at(shown[1].replace(" ", ""), now)})


def test_people_are_led_to_their_account_and_go_on_from_there(site: Site) -> None:
    anna = enter(site)
    for path in ("/", "/labs/lab-a", "/people", "/images", "/no-such-page"):
        led = anna.get(path)
        assert (led.status_code, led.headers["location"]) == (303, "/account#phone"), path
    page = anna.get("/account").text
    assert "A second factor is asked of you here" in page
    assert "Make a token" not in page
    assert anna.post("/language", data={"language": "cs"}).status_code == 303
    codes = enrol(site, anna)
    assert codes.text.count("<li><code>") == phone.RECOVERY_CODES
    assert anna.get("/people").status_code == 200
    assert anna.post("/language", data={"language": "en"}).status_code == 303
    assert "Make a token" in anna.get("/account").text


def test_every_route_is_closed_but_those_that_set_it_up(site: Site) -> None:
    anna, boss = enter(site), program(site, Role.ADMINISTRATOR, None)
    asked = 0
    for endpoint, method, address in sorted(rules(site.app.flask)):
        if endpoint in ENROLLING:
            continue
        data = form(endpoint, OWN) if method == "POST" else None
        answer = anna.request(method, about(address, OWN), data=data, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "must-enrol"), endpoint
        asked += 1
    assert asked > 80
    for path in ("/api/v1/labs", "/api/v1/tokens", "/api/v1/openapi.json", "/api/v1/docs"):
        refused = anna.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "must-enrol"), path
    for path in ("/api/v1/labs", "/api/v1/openapi.json", "/api/v1/docs", "/people"):
        assert boss.get(path).status_code == 200, path  # a program of an administrator goes on
    assert anna.get("/events").status_code == 401
    piece = anna.patch(f"/uploads/{'0' * 32}", headers={"Upload-Offset": "0"})
    assert (piece.status_code, piece.json()["error"]["code"]) == (403, "must-enrol")
    assert anna.get("/api/v1/account").json()["person"]["name"] == "anna"
    begun = anna.post("/api/v1/account/phone").json()
    code = phone.code_at(begun["key"], int(site.ports.clock.now().timestamp()) // 30)
    assert len(anna.post("/api/v1/account/phone/finish", json={"code": code}).json()["recovery"]) == phone.RECOVERY_CODES
    assert anna.get("/api/v1/labs").status_code == 200


def test_an_administrator_asks_it_on_the_page_of_people(site: Site) -> None:
    people.add(site.ports, "eve", password=GOOD, grants=(Grant(Role.TEACHER),))
    anna, eve = enter(site), enter(site, "eve")
    assert eve.get("/").status_code == 200
    enrol(site, anna)
    assert "Others without a phone: eve." in anna.get("/people").text
    asked = anna.post("/people/+second-factor", data={"demand": "everybody"})
    assert asked.status_code == 303
    assert eve.get("/").headers["location"] == "/account#phone"
    assert anna.post("/people/+second-factor", data={"demand": "nobody-at-all"}).status_code == 400
    assert anna.post("/people/+second-factor", data={"demand": "off"}).status_code == 303
    assert eve.get("/").status_code == 200
