# SPDX-License-Identifier: MIT
"""What browsers are told of the pages' safety: once and for all routes, and of HTTPS only where it is there."""

from __future__ import annotations

from ipaddress import ip_network

import httpx

from labvirt.web.headers import ONLY_HTTPS, SECURITY_HEADERS
from labvirt.web.ui.knock import Proxy

from .asked import about, rules
from .conftest import Site
from .two_labs import OWN, furnish

NATIVE = (
    ("GET", "/events"),
    ("POST", "/events"),
    ("PATCH", f"/uploads/{'0' * 32}"),
    ("POST", "/people?\xff"),
    ("GET", "/api/v1/labs?\xff"),
    ("GET", "/no-such-page"),
)
"""Routes that are not Flask's, and what never comes to Flask."""
FOR_MACHINES = (("GET", "/terminals/config?id=52:54:00:00:00:01&wait=0"), ("GET", "/boot/no-such-file"), ("POST", "/boot/x"))


def said(answer: httpx.Response) -> dict[str, str | None]:
    assert all(len(answer.headers.get_list(name)) <= 1 for name in SECURITY_HEADERS)  # each once
    return {name: answer.headers.get(name) for name in SECURITY_HEADERS}


def test_every_answer_says_what_browsers_may_do_with_it(site: Site) -> None:
    """Of every route there is, whether one is let in or not."""
    furnish(site)
    nobody, boss = site.client(), site.browser()
    asked = {("", "GET", path) for path in ("/static/labvirt.css", "/door", "/", "/api/v1/labs", "/api/v1/openapi.json", "/api/v1/docs")}
    asked |= {(endpoint, method, about(address, OWN)) for endpoint, method, address in rules(site.app.flask)}
    assert len(asked) > 80
    for endpoint, method, path in sorted(asked):
        for client in (nobody, boss) if method == "GET" else (nobody,):
            told = said(client.request(method, path))
            if (endpoint, client) == ("consoles.page", boss):  # a policy of its own: tests/web/test_console_page.py
                assert "frame-ancestors 'none'" in str(told["Content-Security-Policy"])
                told["Content-Security-Policy"] = SECURITY_HEADERS["Content-Security-Policy"]
            assert told == SECURITY_HEADERS, (method, path)
    assert SECURITY_HEADERS["Cross-Origin-Opener-Policy"] == "same-origin"


def test_native_routes_say_it_too(site: Site) -> None:
    for method, path in NATIVE:
        assert said(site.client().request(method, path)) == SECURITY_HEADERS, (method, path)
    with site.browser().stream("GET", "/events") as stream:
        assert (stream.status_code, said(stream)) == (200, SECURITY_HEADERS)
    for method, path in FOR_MACHINES:  # firmware and kiosks, no browser: nothing is guessed at, and nothing else is said
        told = said(site.client().request(method, path))
        assert (told["X-Content-Type-Options"], told["Content-Security-Policy"]) == ("nosniff", None), path


def test_https_is_asked_for_where_a_trusted_proxy_has_it(site: Site) -> None:
    secure = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in site.client().get("/door", headers=secure).headers  # nobody is trusted
    site.app.guard.proxy = Proxy(networks=(ip_network("127.0.0.0/8"),))
    assert site.client().get("/door", headers=secure).headers["Strict-Transport-Security"] == ONLY_HTTPS
    for method, path in NATIVE:
        assert site.client().request(method, path, headers=secure).headers["Strict-Transport-Security"] == ONLY_HTTPS, path
        assert "Strict-Transport-Security" not in site.client().request(method, path).headers, path
    assert "Strict-Transport-Security" not in site.client().get("/door").headers
    assert "Strict-Transport-Security" not in site.client().get("/door", headers={"X-Forwarded-Proto": "http"}).headers
