# SPDX-License-Identifier: MIT
"""Who asks wrongly hears what is wrong, as a problem (RFC 9457), wherever the refusal comes from."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from werkzeug.test import TestResponse

from labvirt.usecases import labs
from labvirt.web.api.blueprint import NOUNS

from .conftest import ROOT, Api, client_of

PLACES = {
    "lab": "lab-a", "terminal": "t", "terminal_class": "c", "profile": "p", "image": "i", "guest": "g", "host": "h", "number": "1",
    "other": "o", "draft": "d", "check": "c", "run": "r", "code": "c", "key": "k",
    "person": "p", "group": "g", "token": "t", "sign_in": "s",
}  # fmt: skip


def is_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    told: dict[str, Any] = response.json
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert (told["status"], told["code"], told["type"]) == (status, code, f"urn:labvirt:error:{code}")
    assert told["title"]
    assert told["detail"]
    return told


def test_every_operation_is_closed_to_who_is_not_signed_in(shared: Api) -> None:
    _, nobody = client_of(shared.ports, signed_in=False)
    routes = [(each.method, ROOT + each.path.format(**PLACES)) for noun in NOUNS for each in noun.operations]
    for method, path in [*routes, ("GET", f"{ROOT}/openapi.json"), ("GET", f"{ROOT}/docs"), ("GET", f"{ROOT}/nothing")]:
        refused = nobody.open(path, method=method)
        is_problem(refused, 401, "not-signed-in")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert shared.get("/labs").status_code == 200


def test_a_page_of_another_site_changes_nothing(shared: Api) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    is_problem(shared.post("/labs/lab-a/start", headers=foreign), 403, "not-allowed")
    assert shared.post("/labs/lab-a/start", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_no_such_thing_address_or_method(shared: Api) -> None:
    assert is_problem(shared.get("/labs/nope"), 404, "not-found")["noun"] == "lab"
    is_problem(shared.get("/nope"), 404, "not-found")
    refused = shared.put("/labs", {})
    is_problem(refused, 405, "method-not-allowed")
    assert "POST" in refused.headers["Allow"]


@pytest.mark.parametrize(
    "body, field",
    [
        (b"", "network"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'"x"', "body"),
        (b"null", "body"),
        (b"\xff\xfe", "body"),
        (b'{"name": "\\ud800", "network": "10.78.0.0/24"}', "body"),
        (b'{"name": "lab-b", "network": "10.78.0.0/24", "colour": "red"}', "colour"),
        (b'{"name": 7, "network": "10.78.0.0/24"}', "name"),
        (b'{"name": "lab-b", "network": "10.78.0.0/24", "max_instances": "7"}', "max_instances"),
        (b'{"name": "lab-b", "network": "10.78.0.0/24", "max_instances": 1e400}', "max_instances"),
        (b'{"name": "lab-b", "network": "10.78.0.0/24", "max_instances": 99999999999999999999999}', "max_instances"),
        (b'{"name": "lab-b", "network": "10.78.0.0/24", "max_instances": NaN}', "max_instances"),
        (b'{"name": "lab-b", "network": "8.8.8.0/24"}', "network"),
        (b'{"name": "lab b", "network": "10.78.0.0/24"}', "name"),
        (b'{"name": "lab-b", "network": "10.78.0.0/24", "on_leave": "explode"}', "on_leave"),
        (b"[" * 30000, "body"),
    ],
)
def test_what_is_wrong_is_named(shared: Api, body: bytes, field: str) -> None:
    refused = shared.client.post(f"{ROOT}/labs", data=body, content_type="application/json")
    assert is_problem(refused, 400, "invalid-input")["field"] == field
    assert len(shared.get("/labs").json["items"]) == 1


def test_what_is_right_is_taken(api: Api) -> None:
    assert api.post("/labs", {"name": "lab-b", "network": "10.78.0.0/24"}).status_code == 201


def test_other_media_types_and_bodies_where_none_belongs(shared: Api) -> None:
    is_problem(shared.client.post(f"{ROOT}/labs", data="name=x", content_type="text/plain"), 415, "unsupported-media-type")
    assert is_problem(shared.client.post(f"{ROOT}/labs/lab-a/start", data="x"), 400, "invalid-input")["field"] == "body"
    is_problem(shared.client.post(f"{ROOT}/labs", data=b"x" * 70000, content_type="application/json"), 413, "too-large")


@pytest.mark.parametrize(
    "words, field", [("colour=red", "colour"), ("limit=0", "limit"), ("limit=x", "limit"), ("limit=1&limit=2", "limit")]
)
def test_words_of_a_query(shared: Api, words: str, field: str) -> None:
    assert is_problem(shared.get(f"/labs?{words}"), 400, "invalid-input")["field"] == field


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999999999", "1.5", "%00"])
def test_numbers_in_addresses(shared: Api, number: str) -> None:
    assert is_problem(shared.get(f"/jobs/{number}"), 400, "invalid-input")["field"] == "number"
    assert shared.get("/jobs/1").status_code == 404


@pytest.mark.parametrize("name", ["%00", "%F0%9F%92%A9", "a" * 3000, "%ff", "..%5c..", "%0d%0aX:1", "'; DROP TABLE labs;--"])
def test_strange_names_are_only_names(shared: Api, name: str) -> None:
    for path in ("/labs/", "/terminals/", "/profiles/", "/images/", "/guests/", "/sessions/", "/hosts/", "/classes/"):
        assert shared.get(path + name).status_code in (400, 404)
    assert shared.get("/labs/lab-a").status_code == 200


def test_a_mistake_of_ours_is_a_problem_without_words_of_python(
    shared: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object) -> None:
        raise ValueError("secret words")

    monkeypatch.setattr(labs, "one", broken)
    with caplog.at_level(logging.CRITICAL):
        refused = shared.get("/labs/lab-a")
    is_problem(refused, 500, "error")
    assert b"secret" not in refused.data
