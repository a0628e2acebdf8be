# SPDX-License-Identifier: MIT
"""ETags, pages, and requests that are sent twice."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from labvirt.domain.caller import Grant
from labvirt.domain.right import Role
from labvirt.errors import DriverTimeout, HypervisorError, OutcomeUnknown
from labvirt.usecases import labs, people, tokens

from .conftest import Api, client_of, enter


def test_what_the_client_has_is_not_sent_again(api: Api) -> None:
    first = api.get("/labs/lab-a")
    same = api.get("/labs/lab-a", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    api.patch("/labs/lab-a", {"note": "new"})
    assert api.get("/labs/lab-a", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_change_over_somebody_elses_is_refused(api: Api) -> None:
    mine = {"If-Match": api.get("/labs/lab-a").headers["ETag"]}
    assert api.patch("/labs/lab-a", {"note": "theirs"}).status_code == 200
    refused = api.patch("/labs/lab-a", {"note": "mine"}, headers=mine)
    assert (refused.status_code, refused.json["code"]) == (412, "changed-meanwhile")
    assert api.delete("/labs/lab-a", headers=mine).status_code == 412
    assert api.get("/labs/lab-a").json["note"] == "theirs"
    now = {"If-Match": api.get("/labs/lab-a").headers["ETag"]}
    assert api.patch("/labs/lab-a", {"note": "mine"}, headers=now).status_code == 200
    assert api.patch("/labs/lab-a", {"note": "any"}, headers={"If-Match": "*"}).status_code == 200


def test_of_many_who_change_the_same_under_if_match_one_wins(api: Api) -> None:
    tag = api.get("/labs/lab-a").headers["ETag"]
    cookie = api.client.get_cookie("labvirt_sign_in")
    assert cookie is not None
    begin, statuses = threading.Barrier(6), []

    def change(number: int) -> None:
        client = api.app.test_client()
        client.set_cookie("labvirt_sign_in", cookie.value)
        begin.wait()
        statuses.append(client.patch("/api/v1/labs/lab-a", json={"note": f"of {number}"}, headers={"If-Match": tag}).status_code)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(statuses) == [200, *[412] * 5]


def test_pages_are_whole_whatever_comes_and_goes_meanwhile(api: Api) -> None:
    first = api.get("/terminals?limit=2").json
    assert [each["name"] for each in first["items"]] == ["lab-a-t01", "lab-a-t02"]
    assert api.delete("/terminals/lab-a-t02").status_code == 204  # the one the cursor stands on
    assert api.post("/terminals", {"lab": "lab-a", "name": "aaa"}).status_code == 201  # before the cursor
    second = api.get(f"/terminals?limit=2&after={first['next']}").json
    assert ([each["name"] for each in second["items"]], second["next"]) == (["lab-a-t03", "lab-a-t04"], None)


def test_other_orders(api: Api) -> None:
    def names(path: str) -> list[str]:
        found, after = [], ""
        while True:
            told = api.get(f"{path}&limit=1{after}").json
            found += [each["name"] for each in told["items"]]
            if told["next"] is None:
                return found
            after = f"&after={told['next']}"

    assert names("/terminals?sort=-seat") == ["lab-a-t04", "lab-a-t03", "lab-a-t02", "lab-a-t01"]
    assert names("/terminals?sort=seat") == ["lab-a-t01", "lab-a-t02", "lab-a-t03", "lab-a-t04"]
    refused = api.get("/terminals?sort=colour")
    assert (refused.status_code, refused.json["field"]) == (400, "sort")


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WyIiLFsxLDIsM11d", "WyIiLFt0cnVlLCIiLDddXQ", "W1tbW1tbW1tbW1tbW1tb", "%00", "é"])
def test_a_cursor_that_is_not_ours(shared: Api, cursor: str) -> None:
    refused = shared.get(f"/terminals?after={cursor}")
    assert (refused.status_code, refused.json["field"]) == (400, "after")


def test_audit_in_pages_tells_every_line_once(api: Api) -> None:
    for note in "abcdefg":  # all at the same moment of this clock
        api.patch("/labs/lab-a", {"note": note})
        api.put("/settings/language", {"value": "es"})
    whole = api.get("/audit?limit=500").json["items"]
    found, after = [], ""
    while True:
        told = api.get(f"/audit?limit=2{after}").json
        found += told["items"]
        if told["next"] is None:
            break
        after = f"&after={told['next']}"
    assert found == whole


def test_a_request_that_is_sent_twice_is_done_once(api: Api) -> None:
    told = {"name": "win11", "size_bytes": 1 << 30}
    first = api.post("/images", told, headers={"Idempotency-Key": "k-1"})
    again = api.post("/images", told, headers={"Idempotency-Key": "k-1"})
    assert (again.status_code, again.json, again.headers["Location"]) == (202, first.json, first.headers["Location"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.get("/jobs").json["items"]) == 1
    other = api.post("/images", told | {"name": "win12"}, headers={"Idempotency-Key": "k-1"})
    assert (other.status_code, other.json["code"]) == (409, "conflict")
    assert api.post("/images", told | {"name": "win12"}, headers={"Idempotency-Key": "k-2"}).status_code == 202


def test_many_at_once_with_one_key_do_one_thing(api: Api) -> None:
    cookie = api.client.get_cookie("labvirt_sign_in")
    assert cookie is not None
    begin, statuses = threading.Barrier(8), []

    def send() -> None:
        client = api.app.test_client()
        client.set_cookie("labvirt_sign_in", cookie.value)
        begin.wait()
        told = {"name": "lab-b", "network": "10.78.0.0/24"}
        statuses.append(client.post("/api/v1/labs", json=told, headers={"Idempotency-Key": "once"}).status_code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert len([each for each in api.get("/audit?limit=500").json["items"] if each["subject"] == "lab-b" and each["verb"] == "add"]) == 1


def test_a_key_is_forgotten_after_a_day_and_not_before(api: Api) -> None:
    def send() -> int:
        enter(api.ports, api.client)  # sign-ins are shorter than a day
        return api.post("/terminals", {"lab": "lab-a", "name": "pc-9"}, headers={"Idempotency-Key": "k"}).status_code

    assert send() == 201
    api.delete("/terminals/pc-9")
    api.clock.at += timedelta(hours=11)
    assert send() == 201
    assert api.get("/terminals/pc-9").status_code == 404  # told again, not done again


def test_a_refused_request_may_be_sent_again_with_its_key(api: Api) -> None:
    told = {"lab": "lab-b", "name": "pc-9"}
    assert api.post("/terminals", told, headers={"Idempotency-Key": "k"}).status_code == 404
    api.post("/labs", {"name": "lab-b", "network": "10.78.0.0/24"})
    assert api.post("/terminals", told, headers={"Idempotency-Key": "k"}).status_code == 201


def test_what_may_have_been_done_is_not_done_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def send() -> tuple[int, str]:
        answer = api.post("/labs", {"name": "lab-b", "network": "10.78.0.0/24"}, headers={"Idempotency-Key": "k"})
        return answer.status_code, answer.json["code"]

    def broken(*args: object, **more: object) -> None:
        raise OutcomeUnknown("The connection broke.")

    with monkeypatch.context() as patched:
        patched.setattr(labs, "add", broken)
        assert send() == (502, "outcome-unknown")
    assert send() == (409, "operation-in-progress")
    _, other = client_of(api.ports)  # the same caller in another web process: the first one has died over it
    told = {"name": "lab-b", "network": "10.78.0.0/24"}
    with api.ports.database.read() as work:
        assert work.labs.get("lab-b") is None
    assert other.post("/api/v1/labs", json=told, headers={"Idempotency-Key": "k"}).status_code == 409
    people.add(api.ports, "anna", grants=(Grant(Role.ADMINISTRATOR),))
    anna = {"Authorization": f"Bearer {tokens.add(api.ports, 'own', person='anna').secret}", "Idempotency-Key": "k"}
    program = api.app.test_client()
    assert program.post("/api/v1/labs", json=told, headers=anna).status_code == 201  # a key belongs to who sent it


@pytest.mark.parametrize("error", [HypervisorError("no"), DriverTimeout("no")])
def test_what_failed_for_certain_may_be_tried_again(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def send() -> int:
        return api.post("/labs", {"name": "lab-b", "network": "10.78.0.0/24"}, headers={"Idempotency-Key": "k"}).status_code

    def broken(*args: object, **more: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(labs, "add", broken)
        assert send() >= 500
    assert send() == 201
