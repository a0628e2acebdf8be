# SPDX-License-Identifier: MIT
"""Who gets in: nobody without a code, each code once, and a route that nobody declared is closed."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from labvirt.domain.person import ABSOLUTE_ADMINISTRATOR, IDLE
from labvirt.errors import NotAllowed
from labvirt.usecases import setup, sign_in
from labvirt.usecases.sign_in import From
from labvirt.web.ui import routes
from labvirt.web.ui.knock import COOKIE

from .conftest import Site
from .lab import MovableClock


def urls(flask: Flask) -> list[tuple[str, str, str]]:
    """(endpoint, method, a URL) of every route."""
    return [
        (rule.endpoint, method, re.sub(r"<[^>]*>", "lab-a-01", re.sub(r"<int:[^>]*>", "1", rule.rule)))
        for rule in flask.url_map.iter_rules()
        for method in sorted(rule.methods or ())
    ]


def test_every_route_is_closed_unless_declared(site: Site) -> None:
    site.app.flask.add_url_rule("/forgotten/<name>", "forgotten", lambda name: "secret", methods=["GET", "POST", "DELETE"])
    stranger, browser = site.client(), site.browser()
    seen = set()
    for endpoint, method, url in urls(site.app.flask):
        if endpoint in routes.OPEN:
            continue
        seen.add(endpoint)
        answer = stranger.request(method, url)
        if endpoint == "pages.first":
            assert (answer.status_code, answer.headers["location"]) == (303, "/door")
        else:
            assert answer.status_code == 401, (endpoint, method)
        assert "secret" not in answer.text
    api = {endpoint for endpoint in seen if endpoint.startswith("api.")}
    assert len(api) > 100
    assert seen - api == routes.ROUTES.keys() - routes.OPEN | {"forgotten"}
    assert browser.get("/forgotten/x").text == "secret"
    assert browser.get("/labs").status_code == 200
    assert stranger.get("/events").status_code == 401
    assert stranger.get("/no/such/page").status_code == 401
    assert browser.get("/no/such/page").status_code == 404
    assert browser.get("/no/such/page", headers={"Accept": "application/json"}).json()["error"]["sentence"] == "Not Found."


def test_open_routes_tell_nothing(site: Site) -> None:
    client = site.client()
    assert client.get("/healthz").text == "ok\nengine=answers\n"
    site.engine.set_away(True)
    assert client.get("/door").status_code == 200
    for path in (
        "labvirt.css",
        "map.css",
        "js/theme.js",
        "js/live.js",
        "js/map.js",
        "vendor/htmx.min.js",
        "vendor/icons.svg",
        "door.js",
        "mark.svg",
        "signs.svg",
    ):
        assert client.get(f"/static/{path}").status_code == 200
    for path in ("../sign_in.py", "%2e%2e/sign_in.py", "..%2f..%2fapp.py", "/etc/passwd"):
        assert client.get(f"/static/{path}").status_code in (401, 404)


def test_health_says_when_the_engine_is_away(site: Site) -> None:
    site.engine.set_away(True)
    answer = site.client().get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\nengine=away\n")


def test_a_code_opens_the_door_once(site: Site) -> None:
    client, other = site.client(), site.client()
    code = setup.sign_in_code(site.ports)
    answer = client.post("/enter", data={"code": f" {code.lower().replace('-', ' ')} "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie  # this is http
    assert client.get("/").status_code == 200
    assert client.get("/door").status_code == 303
    again = other.post("/enter", data={"code": code})
    assert again.status_code == 403
    assert "not valid" in again.text
    assert other.get("/labs").status_code == 401


def test_two_with_one_code_at_once(site: Site) -> None:
    code = setup.sign_in_code(site.ports)

    def redeem(number: int) -> bool:
        try:
            sign_in.by_code(site.ports, code, who=From(address=f"192.0.2.{number}"))
        except NotAllowed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(redeem, range(8))) == [False] * 7 + [True]


def test_codes_expire_and_the_set_up_code_does_not(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    code = setup.sign_in_code(site.ports)
    newer = setup.sign_in_code(site.ports)
    assert site.client().post("/enter", data={"code": code}).status_code == 403
    clock.move(599)
    assert site.client().post("/enter", data={"code": newer}).status_code == 303
    late = setup.sign_in_code(site.ports)
    clock.move(601)
    assert site.client().post("/enter", data={"code": late}).status_code == 403
    first = {"code": site.code, "name": "anna", "password": "four words in a row"}
    assert site.client().post("/enter", data=first).status_code == 303
    assert len(site.code.replace("-", "")) * 5 >= 50  # 32 letters: 5 bits each


def test_sign_ins_end(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    browser = site.browser()
    value = browser.cookies[COOKIE]
    copy = site.client(cookies={COOKIE: value})
    assert copy.get("/labs").status_code == 200
    assert browser.post("/leave").headers["location"] == "/door"
    assert copy.get("/labs").status_code == 401
    second = site.browser()
    assert second.get("/labs").status_code == 200
    clock.move(IDLE.total_seconds() + 1)
    assert second.get("/labs").status_code == 401
    third = site.browser()
    for _ in range(int(ABSOLUTE_ADMINISTRATOR / IDLE) * 2 - 1):
        clock.move(IDLE.total_seconds() / 2)
        assert third.get("/").status_code == 200
    clock.move(IDLE.total_seconds() / 2)
    assert third.get("/labs").status_code == 401


def test_what_pages_ask_by_themselves_keeps_no_sign_in_alive(serve: Callable[..., Site]) -> None:
    clock = MovableClock()
    site = serve(clock=clock)
    watching, working = site.browser(), site.browser()
    for _ in range(2):
        clock.move(IDLE.total_seconds() / 2)
        assert working.get("/").status_code == 200
        watching.get("/labs")
    assert watching.get("/labs").status_code == 401
    assert working.get("/labs").status_code == 200


def test_forged_cookies(site: Site) -> None:
    good = site.browser().cookies[COOKIE]
    stranger = site.client()
    for forged in (
        *("", "administrator", "x.y.z", "é", "a" * 4000, '"', "=;"),
        *(good[::-1], good[:-1], good.lower() + "x", f"{good}A", "a" * len(good)),
    ):
        headers = {"Cookie": f"{COOKIE}={forged}".encode("latin-1")}
        assert stranger.get("/labs", headers=headers).status_code == 401
        assert stranger.get("/events", headers=headers).status_code == 401
    assert site.client(cookies={COOKIE: good}).get("/labs").status_code == 200


def test_guessing_is_bounded(site: Site) -> None:
    client = site.client()
    answers = [client.post("/enter", data={"code": f"WRONG-{n}"}) for n in range(11)]
    assert [answer.status_code for answer in answers] == [403] * 10 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert "often" in answers[-1].text


def test_other_sites_pages_cannot_sign_anybody_in_or_out(site: Site) -> None:
    code = setup.sign_in_code(site.ports)
    for foreign in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert site.client().post("/enter", data={"code": code}, headers=foreign).status_code == 403
    own = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
    client = site.client()
    assert client.post("/enter", data={"code": code}, headers=own).status_code == 303
    assert client.post("/leave", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/labs").status_code == 200
    assert client.post("/leave", headers={"Origin": site.url}).status_code == 303


def test_secure_cookie_when_https(site: Site) -> None:
    answer = site.app.flask.test_client().post("/enter", data={"code": setup.sign_in_code(site.ports)}, base_url="https://lab.example")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-labvirt_sign_in=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_headers_of_pages(site: Site) -> None:
    for answer in (site.client().get("/door"), site.browser().get("/"), site.client().get("/labs"), site.client().post("/enter")):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def test_pages_have_no_inline_script_or_style(site: Site) -> None:
    for page in (site.client().get("/door").text, site.browser().get("/").text):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=", page)


def test_a_mistake_of_ours_is_a_number(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise KeyError("private detail")

    site.app.flask.add_url_rule("/broken", "broken", broken)
    answer = site.browser().get("/broken")
    assert answer.status_code == 500
    assert "private detail" not in answer.text
    number = re.search(r"mistake ([0-9a-f]{8})", answer.text)
    assert number is not None
    assert any(number[1] in record.getMessage() for record in caplog.records)
