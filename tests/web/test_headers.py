# SPDX-License-Identifier: MIT
"""What browsers are told of the pages' safety: once and for all routes, and of HTTPS only where it is there."""

from __future__ import annotations

from ipaddress import ip_network

from labvirt.web.app import ONLY_HTTPS, SECURITY_HEADERS
from labvirt.web.ui.knock import Proxy

from .conftest import Site


def test_every_answer_says_what_browsers_may_do_with_it(site: Site) -> None:
    for path in ("/door", "/", "/no-such-page", "/static/labvirt.css"):
        answer = site.client().get(path)
        assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS, path
    assert SECURITY_HEADERS["Cross-Origin-Opener-Policy"] == "same-origin"


def test_https_is_asked_for_where_a_trusted_proxy_has_it(site: Site) -> None:
    said = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in site.client().get("/door", headers=said).headers  # nobody is trusted
    site.app.guard.proxy = Proxy(networks=(ip_network("127.0.0.0/8"),))
    assert site.client().get("/door", headers=said).headers["Strict-Transport-Security"] == ONLY_HTTPS
    assert "Strict-Transport-Security" not in site.client().get("/door").headers
    assert "Strict-Transport-Security" not in site.client().get("/door", headers={"X-Forwarded-Proto": "http"}).headers
