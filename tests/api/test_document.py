# SPDX-License-Identifier: MIT
"""The document and its page: whole, the same for everybody, and nothing on the page comes from elsewhere or runs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from labvirt.web.api.blueprint import NOUNS

from .conftest import ROOT, Api


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_document_tells_every_route_of_the_api(shared: Api) -> None:
    told = shared.get("/openapi.json")
    assert (told.status_code, told.json["openapi"]) == (200, "3.1.0")
    described = {(method.upper(), path) for path, methods in told.json["paths"].items() if path.startswith(ROOT) for method in methods}
    routed = {
        (method, re.sub(r"<([a-z_]+)>", r"{\1}", rule.rule))
        for rule in shared.app.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert routed - described == {("GET", f"{ROOT}/openapi.json"), ("GET", f"{ROOT}/docs")}
    assert described <= routed
    assert shared.get("/openapi.json", headers={"If-None-Match": told.headers["ETag"]}).status_code == 304


def test_every_reference_leads_somewhere(shared: Api) -> None:
    document = shared.get("/openapi.json").json
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        found = document
        for part in reference.split("/"):
            found = found[part]


def test_every_body_refuses_what_it_does_not_know(shared: Api) -> None:
    schemas = shared.get("/openapi.json").json["components"]["schemas"]
    bodies = {each.told.__name__ for noun in NOUNS for each in noun.operations if each.told is not None}
    assert len(bodies) > 15
    assert [name for name in sorted(bodies) if schemas[name].get("additionalProperties") is not False] == []


def test_the_page_shows_every_operation_and_runs_nothing_but_the_layout(shared: Api) -> None:
    answer = shared.get("/docs")
    page = answer.get_data(as_text=True)
    tags = Tags(page).found
    shown = {attributes["id"] for _, attributes in tags if "id" in attributes}
    assert {each.id for noun in NOUNS for each in noun.operations} <= shown
    assert {"uploads_begin", "events_listen"} <= shown
    assert [tag for tag, _ in tags if tag in ("style", "iframe", "object")] == []
    assert all((attributes.get("src") or "").startswith("/static/") for tag, attributes in tags if tag == "script")
    assert [name for _, attributes in tags for name in attributes if name == "style" or name.startswith("on")] == []
    links = [attributes[name] or "" for _, attributes in tags for name in ("href", "src") if name in attributes]
    assert [link for link in links if not link.startswith(("#", "/"))] == []
    inner = {link.removeprefix("#") for link in links if link.startswith("#")}
    assert inner <= shown
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
