# SPDX-License-Identifier: MIT
"""People at the pages: the first administrator, password, phone, one's own account, the site's people, programs, the campus."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from labvirt.domain.caller import Grant
from labvirt.domain.person import CONFIRMED
from labvirt.domain.right import Role
from labvirt.usecases import people, phone, tokens
from labvirt.web.app import Application
from labvirt.web.ui.knock import COOKIE, SECURE_COOKIE, Proxy

from .conftest import Site
from .lab import CA, MovableClock

GOOD = "four words in a row"


def signed_in(site: Site, name: str = "anna", *grants: Grant) -> httpx.Client:
    people.add(site.ports, name, full_name="Anna Nová", password=GOOD, grants=grants)
    client = site.client()
    assert client.post("/enter", data={"name": name, "password": GOOD}).status_code == 303
    return client


def test_the_first_administrator_is_made_at_the_door(site: Site) -> None:
    client = site.client()
    assert "The first administrator" in client.get("/door").text
    short = client.post("/enter", data={"code": site.code, "name": "anna", "password": "short"})
    assert (short.status_code, "8 to 128 characters" in short.text, site.code in short.text) == (400, True, True)
    wrong = client.post("/enter", data={"code": site.code, "name": "anna", "full_name": "Anna Nová", "password": "short"}).text
    assert re.search(r'id="password"[^>]*aria-invalid="true" aria-describedby="refused long"', wrong)
    assert re.search(r'id="name"[^>]*value="anna"(?![^>]*aria-invalid)', wrong)
    assert 'value="Anna Nová"' in wrong
    assert client.post("/enter", data={"code": site.code}).status_code == 400
    made = client.post("/enter", data={"code": site.code, "name": "anna", "full_name": "Anna Nová", "password": GOOD})
    assert (made.status_code, made.headers["location"]) == (303, "/")
    assert "anna" in client.get("/people").text
    assert "The first administrator" not in site.client().get("/door").text
    again = site.client().post("/enter", data={"code": site.code, "name": "eve", "password": GOOD})
    assert again.status_code == 403


def test_who_was_added_by_the_shell_signs_in_before_there_is_an_administrator(site: Site) -> None:
    client = site.client()
    assert "The first administrator" in client.get("/door").text
    people.add(site.ports, "bert", password=GOOD, grants=(Grant(Role.TEACHER, "lab-a"),))
    door = client.get("/door").text
    assert "The first administrator" not in door
    assert 'autocomplete="current-password"' in door
    assert client.post("/enter", data={"name": "bert", "password": GOOD}).headers["location"] == "/"
    # The set-up code is still good, and its form comes to whoever shows it.
    again = site.client()
    shown = again.post("/enter", data={"code": site.code})
    assert shown.status_code == 400
    assert "The first administrator" in shown.text
    assert again.post("/enter", data={"code": site.code, "name": "anna", "password": GOOD}).headers["location"] == "/"
    assert again.get("/people").status_code == 200


def test_name_and_password(site: Site) -> None:
    client = signed_in(site)
    assert "Anna Nová" in client.get("/account").text
    assert client.get("/people").status_code == 403
    first = client.get("/").text
    assert "No lab is yours" in first
    assert 'href="/audit"' not in first
    assert 'href="/audit"' in site.browser().get("/").text
    answers = {}
    for name, password in (("anna", "wrong password"), ("nobody-here", GOOD)):
        answer = site.client().post("/enter", data={"name": name, "password": password})
        answers[name] = (answer.status_code, answer.text.replace(name, ""))
    assert answers["anna"] == answers["nobody-here"]
    assert answers["anna"][0] == 401
    assert client.post("/leave").headers["location"] == "/door"
    assert client.get("/account").status_code == 401


def test_a_phone_is_set_up_and_asked_for(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    client = signed_in(site)
    assert client.post("/account/phone", data={"do": "begin"}).status_code == 303
    page = client.get("/account").text
    found = re.search(r"Or type the key: <code>([A-Z2-7 ]+)</code>", page)
    assert found is not None
    key = found[1].replace(" ", "")
    picture = client.get("/account/phone.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<script" not in picture.text
    assert picture.headers["cache-control"] == "no-store"

    def code() -> str:
        return phone.code_at(key, int(clock.now().timestamp()) // phone.STEP_SECONDS)

    done = client.post("/account/phone", data={"do": "finish", "code": code()})
    spare = re.findall(r"<li><code>([A-Z0-9-]{19})</code>", done.text)
    assert len(spare) == phone.RECOVERY_CODES
    assert client.get("/account/phone.svg").status_code == 409
    clock.move(60)
    other = site.client()
    half = other.post("/enter", data={"name": "anna", "password": GOOD})
    assert (half.status_code, "The code of your phone" in half.text) == (200, True)
    token = other.cookies[COOKIE]
    assert other.get("/account").status_code == 401
    assert other.post("/enter/phone", data={"code": "000000"}).status_code == 403
    assert other.post("/enter/phone", data={"code": code()}).status_code == 303
    assert other.cookies[COOKIE] != token
    assert other.get("/account").status_code == 200


def test_the_account_asks_for_the_password_again(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    client = signed_in(site)
    clock.move(CONFIRMED.total_seconds() + 1)
    new = {"new": "another four words", "again": "another four words"}
    asked = client.post("/account/password", data=new)
    assert (asked.status_code, 'action="/account/confirm"' in asked.text) == (403, True)
    assert client.post("/account/confirm", data={"password": "wrong password"}).status_code == 403
    for back, to in (("/people", "/people"), ("https://evil.example/", "/account"), ("//evil.example", "/account")):
        assert client.post("/account/confirm", data={"password": GOOD, "back": back}).headers["location"] == to
    assert client.post("/account/password", data={**new, "again": "something else"}).status_code == 400
    assert client.post("/account/password", data=new).status_code == 303
    assert site.client().post("/enter", data={"name": "anna", "password": GOOD}).status_code == 401
    assert site.client().post("/enter", data={"name": "anna", "password": "another four words"}).status_code == 303


def test_people_and_groups_are_managed_on_their_page(site: Site) -> None:
    boss = signed_in(site, "boss", Grant(Role.ADMINISTRATOR))
    assert boss.post("/people/groups", data={"name": "chemistry", "grant": "teacher:lab-a"}).status_code == 303
    made = boss.post("/people", data={"name": "eva", "password": GOOD, "group": "chemistry"})
    assert made.headers["location"] == "/people/eva"
    eva = site.client()
    assert eva.post("/enter", data={"name": "eva", "password": GOOD}).status_code == 303
    assert 'id="lab-lab-a"' in eva.get("/").text
    assert boss.post("/people/eva", data={"do": "save", "active": "yes", "grant": ["viewer"]}).status_code == 303
    assert eva.post("/lab/lab-a/power", data={"do": "restart"}).status_code == 403
    assert boss.post("/people/eva", data={"do": "save"}).status_code == 303  # 'may sign in' is not ticked
    assert eva.get("/account").status_code == 401
    last = boss.post("/people/boss", data={"do": "remove"})
    assert (last.status_code, "last administrator" in last.text) == (409, True)
    assert boss.post("/people/eva", data={"do": "remove"}).headers["location"] == "/people"
    assert boss.get("/people/eva").status_code == 404
    script = boss.post("/people", data={"name": "x", "full_name": "<script>alert(1)</script>", "password": GOOD})
    assert script.status_code == 303
    for path in ("/people", "/people/x"):
        assert "<script>alert" not in boss.get(path).text
        assert "&lt;script&gt;" in boss.get(path).text


def test_programs_sign_themselves_with_a_token(site: Site) -> None:
    client = signed_in(site, "anna", Grant(Role.TEACHER, "lab-a"))
    page = client.post("/account/token", data={"name": "script", "days": "2", "scope": "some", "right": "look"}).text
    found = re.search(r'<code class="secret">(lvt_[\w-]+)</code>', page)
    assert found is not None
    program = site.client(headers={"Authorization": f"Bearer {found[1]}"})
    assert program.get("/lab/lab-a/power").status_code == 200
    assert program.post("/lab/lab-a/power", data={"do": "restart"}).status_code == 403
    assert client.post("/lab/lab-a/power", data={"do": "restart"}).status_code == 303
    wrong = site.client(headers={"Authorization": "Bearer lvt_wrong"}, cookies=dict(client.cookies))
    assert wrong.get("/account").status_code == 401  # a wrong token is nobody's, whatever cookie comes with it
    [token] = tokens.everything(site.ports)
    assert client.post("/account/token", data={"do": "remove", "id": token.id}).status_code == 303
    assert program.get("/lab/lab-a/power").status_code == 401


@pytest.fixture
def behind(site: Site) -> Callable[..., FlaskClient]:
    """The pages behind a proxy that is trusted when it comes from 192.0.2.10."""
    app = Application(ports=site.ports, ca_pem=lambda: CA, proxy=Proxy.parse(("192.0.2.10", "2001:db8::/64", "unix")))

    def from_(peer: str, **headers: str) -> Any:
        client = app.flask.test_client()
        client.environ_base.update({"REMOTE_ADDR": peer})
        for name, value in headers.items():
            client.environ_base[f"HTTP_{name.upper()}"] = value
        return client

    return from_


def test_only_a_trusted_peer_says_who_somebody_is(site: Site, behind: Callable[..., FlaskClient]) -> None:
    for stranger in ("192.0.2.11", "127.0.0.1", "2001:db8:1::1"):
        assert behind(stranger, x_remote_user="jana").get("/account").status_code == 401
    assert "jana" not in {each.name for each in people.everything(site.ports)}
    for peer in ("192.0.2.10", "2001:db8::1", ""):
        assert behind(peer, x_remote_user="Jana").get("/account").status_code == 200
    assert people.one(site.ports, "jana").person.grants == ()
    assert behind("192.0.2.10").get("/account").status_code == 401
    assert behind("192.0.2.10", x_remote_user="shell").get("/account").status_code == 401
    people.change(site.ports, "jana", active=False)
    assert behind("192.0.2.10", x_remote_user="jana").get("/account").status_code == 401


def test_the_cookie_is_a_host_cookie_when_the_proxy_speaks_https(site: Site, behind: Callable[..., FlaskClient]) -> None:
    people.add(site.ports, "anna", password=GOOD)
    told = {"name": "anna", "password": GOOD}
    secure = behind("192.0.2.10", x_forwarded_proto="https").post("/enter", data=told).headers["Set-Cookie"]
    assert secure.startswith(f"{SECURE_COOKIE}=")
    assert "Secure" in secure
    plain = behind("192.0.2.11", x_forwarded_proto="https").post("/enter", data=told).headers["Set-Cookie"]
    assert plain.startswith(f"{COOKIE}=")
    behind("192.0.2.10", x_forwarded_for="203.0.113.7, 198.51.100.9").post("/enter", data=told)
    behind("192.0.2.11", x_forwarded_for="203.0.113.8").post("/enter", data=told)
    addresses = {each.address for each in people.one(site.ports, "anna").sign_ins}
    assert "198.51.100.9" in addresses
    assert not addresses & {"203.0.113.7", "203.0.113.8"}
