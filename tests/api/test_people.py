# SPDX-License-Identifier: MIT
"""People, groups, sign-ins, tokens and one's own account through the API; what is told once is told once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from labvirt.domain.caller import Grant
from labvirt.domain.right import Right, Role
from labvirt.usecases import people, phone, sign_in, tokens
from labvirt.usecases.sign_in import From
from labvirt.web.ui.knock import COOKIE

from .conftest import ROOT, Api
from .test_nouns import fits

GOOD = "correct horse battery staple"
ADMINISTRATOR = (Grant(Role.ADMINISTRATOR),)
TENDING = {Right.SITE, Right.PEOPLE}


def program(api: Api, person: str, rights: set[Right] | None = None, days: int = 90, *, name: str = "own") -> dict[str, str]:
    """The header of a new token of this person."""
    return {"Authorization": f"Bearer {tokens.add(api.ports, name, person=person, rights=rights, days=days).secret}"}


def browser(api: Api, name: str) -> FlaskClient:
    """Somebody who has just given the password."""
    client = api.app.test_client()
    client.set_cookie(COOKIE, sign_in.with_password(api.ports, name, GOOD, who=From(address="127.0.0.1")).token)
    return client


def stored(api: Api) -> bytes:
    """Every byte of the database, with what is not checkpointed yet."""
    folder = next(api.ports.database._path.parent.glob("*.db")).parent  # type: ignore[attr-defined]
    return b"".join(each.read_bytes() for each in sorted(folder.glob("*.db*")))


def test_a_person_from_the_first_day_to_the_last(api: Api) -> None:
    fits(api.post("/groups", {"name": "chemistry", "grants": ["teacher:lab-a"]}), "groups_add")
    made = fits(api.post("/people", {"name": "Anna", "password": GOOD, "grants": ["viewer"], "groups": ["chemistry"]}), "people_add")
    assert (made.status_code, made.headers["Location"]) == (201, f"{ROOT}/people/anna")
    assert (made.json["grants"], made.json["from_groups"], made.json["password"]) == (["viewer"], ["teacher:lab-a"], True)
    assert GOOD.encode() not in made.data
    assert fits(api.get("/groups/chemistry"), "groups_show").json["members"] == ["anna"]
    browser(api, "anna")
    assert [each["address"] for each in fits(api.get("/people/anna/sign-ins"), "people_sign_ins").json["items"]] == ["127.0.0.1"]
    assert len(fits(api.delete("/people/anna/sign-ins"), "people_sign_out").json["ended"]) == 1
    assert api.get("/people/anna/sign-ins").json["items"] == []
    changed = fits(api.patch("/people/anna", {"grants": [], "active": False}), "people_change").json
    assert (changed["grants"], changed["groups"], changed["active"]) == ([], ["chemistry"], False)
    assert fits(api.put("/people/anna/password", {"password": GOOD + "r"}), "people_set_password").status_code == 200
    assert not fits(api.delete("/people/anna/phone"), "people_forget_phone").json["phone"]
    assert fits(api.delete("/people/anna"), "people_remove").status_code == 204
    assert fits(api.get("/people/anna"), "people_show").status_code == 404
    assert [each["name"] for each in fits(api.get("/groups"), "groups_list").json["items"]] == ["chemistry"]
    assert fits(api.patch("/groups/chemistry", {"note": "second floor"}), "groups_change").json["grants"] == ["teacher:lab-a"]
    assert fits(api.delete("/groups/chemistry"), "groups_remove").status_code == 204


def test_what_is_refused_changes_nobody(api: Api) -> None:
    assert api.post("/people", {"name": "anna", "grants": ["administrator"]}).status_code == 201
    for told, field in (
        ({"name": "shell"}, "name"),
        ({"name": "eve", "grants": ["king"]}, "grants"),
        ({"name": "eve", "grants": ["administrator:lab-a"]}, "grant"),
        ({"name": "eve", "password": "short"}, "password"),
        ({"name": "eve", "totp": "x"}, "totp"),
    ):
        refused = api.post("/people", told)
        assert (refused.status_code, refused.json["field"]) == (400, field), told
        assert "short" not in refused.text
    assert api.post("/people", {"name": "eve", "grants": ["teacher:lab-z"]}).status_code == 404
    assert api.patch("/people/anna", {"grants": []}).json["code"] == "conflict"  # the last administrator
    assert api.post("/people", {"name": "anna"}).status_code == 409
    assert [(each["name"], each["grants"]) for each in api.get("/people").json["items"]] == [("anna", ["administrator"])]


def test_who_gave_the_password_long_ago_gives_it_again(api: Api) -> None:
    people.add(api.ports, "anna", password=GOOD, grants=ADMINISTRATOR)
    anna = browser(api, "anna")
    api.clock.at += timedelta(minutes=11)
    refused = anna.post(f"{ROOT}/people", json={"name": "eve"})
    assert (refused.status_code, refused.json["code"]) == (403, "must-confirm")
    assert anna.post(f"{ROOT}/account/confirm", json={"password": "a wrong one"}).status_code == 403
    assert anna.post(f"{ROOT}/people", json={"name": "eve"}).status_code == 403
    assert fits(anna.post(f"{ROOT}/account/confirm", json={"password": GOOD}), "account_confirm").status_code == 200
    assert anna.post(f"{ROOT}/people", json={"name": "eve"}).status_code == 201


def test_a_program_changes_people_only_when_its_token_names_that(api: Api) -> None:
    people.add(api.ports, "anna", grants=ADMINISTRATOR)
    people.add(api.ports, "tom", grants=(Grant(Role.LAB_MANAGER),))
    client = api.app.test_client()
    told = {"name": "eve", "password": GOOD}
    for number, (person, rights) in enumerate(
        (("anna", None), ("anna", {Right.SITE}), ("anna", {Right.PEOPLE}), ("tom", TENDING), ("tom", None))
    ):
        refused = program(api, person, rights, name=f"t{number}")
        assert client.post(f"{ROOT}/people", json=told, headers=refused).status_code == 403, (person, rights)
        assert client.post(f"{ROOT}/tokens", json={"name": "more"}, headers=refused).status_code == 403, (person, rights)
    assert api.get("/people/eve").status_code == 404
    tending = program(api, "anna", TENDING)
    assert client.post(f"{ROOT}/people", json=told, headers=tending).status_code == 201
    assert client.get(f"{ROOT}/account", headers=tending).status_code == 403  # a program has no account
    people.change(api.ports, "eve", grants=ADMINISTRATOR)
    people.change(api.ports, "anna", grants=())
    assert client.delete(f"{ROOT}/people/eve", headers=tending).status_code == 403  # her rights of now


def test_a_token_makes_no_token_that_may_more_or_lives_longer(api: Api) -> None:
    people.add(api.ports, "anna", grants=ADMINISTRATOR)
    people.add(api.ports, "eve")
    client, tending = api.app.test_client(), program(api, "anna", TENDING, days=3)
    for told in ({"rights": ["store"]}, {"person": "eve"}):
        assert client.post(f"{ROOT}/tokens", json={"name": "child", **told}, headers=tending).status_code == 403, told
    child = client.post(f"{ROOT}/tokens", json={"name": "child", "rights": ["site"], "days": 90}, headers=tending)
    assert (child.status_code, child.json["rights"]) == (201, ["look", "site"])
    assert child.json["expires_at"] == client.get(f"{ROOT}/tokens", headers=tending).json["items"][0]["expires_at"]
    same = client.post(f"{ROOT}/tokens", json={"name": "same"}, headers=tending)
    assert same.json["rights"] == ["look", "people", "site"]


def test_tokens_of_ones_own_and_of_others(api: Api) -> None:
    people.add(api.ports, "anna", password=GOOD, grants=(Grant(Role.TEACHER),))
    people.add(api.ports, "eve", password=GOOD, grants=(Grant(Role.TEACHER),))
    anna, eve = browser(api, "anna"), browser(api, "eve")
    made = fits(anna.post(f"{ROOT}/tokens", json={"name": "script", "rights": ["operate"], "days": 2}), "tokens_add")
    where = made.headers["Location"]
    assert (where, made.json["secret"][:4], made.json["rights"]) == (f"{ROOT}/tokens/{made.json['id']}", "lvt_", ["look", "operate"])
    assert "secret" not in fits(anna.get(where), "tokens_show").json
    assert [each["name"] for each in fits(anna.get(f"{ROOT}/tokens"), "tokens_list").json["items"]] == ["script"]
    assert eve.get(where).status_code == eve.delete(where).status_code == eve.get(f"{ROOT}/tokens?person=anna").status_code == 404
    assert eve.get(f"{ROOT}/tokens").json["items"] == []
    assert [each["name"] for each in api.get("/tokens?person=anna").json["items"]] == ["script"]
    sent = {"Authorization": f"Bearer {made.json['secret']}"}
    assert api.app.test_client().get(f"{ROOT}/labs", headers=sent).status_code == 200
    assert fits(api.client.delete(where), "tokens_remove").status_code == 200
    assert api.app.test_client().get(f"{ROOT}/labs", headers=sent).status_code == 401


def test_an_answer_with_a_secret_is_told_once_and_kept_nowhere(api: Api) -> None:
    people.add(api.ports, "anna", password=GOOD, grants=(Grant(Role.TEACHER),))
    anna = browser(api, "anna")
    key = {"Idempotency-Key": "k"}
    first = anna.post(f"{ROOT}/tokens", json={"name": "script"}, headers=key)
    again = anna.post(f"{ROOT}/tokens", json={"name": "script"}, headers=key)
    assert (first.status_code, again.status_code, again.json["code"]) == (201, 409, "conflict")
    assert "secret" not in again.json
    assert len(anna.get(f"{ROOT}/tokens").json["items"]) == 1  # done once
    begun = fits(anna.post(f"{ROOT}/account/phone", headers={"Idempotency-Key": "p"}), "account_begin_phone")
    code = phone.code_at(begun.json["key"], int(api.clock.now().timestamp()) // phone.STEP_SECONDS)
    done = fits(anna.post(f"{ROOT}/account/phone/finish", json={"code": code}, headers={"Idempotency-Key": "f"}), "account_finish_phone")
    assert len(done.json["recovery"]) == 8
    assert anna.post(f"{ROOT}/account/phone/finish", json={"code": code}, headers={"Idempotency-Key": "f"}).status_code == 409
    kept = stored(api)
    assert b"teacher" in kept  # the positive control: what is kept is found
    for secret in (first.json["secret"], done.json["recovery"][0]):
        assert secret.encode() not in kept
    assert b"otpauth:" not in kept  # the key itself lies beside its person: a controller computes its codes
    assert fits(anna.get(f"{ROOT}/account"), "account_show").json["recovery_left"] == 8
    assert fits(anna.delete(f"{ROOT}/account/phone"), "account_forget_phone").status_code == 204
    assert fits(anna.put(f"{ROOT}/account/password", json={"password": GOOD + "r"}), "account_set_password").status_code == 204


def test_a_password_leaves_no_quick_hash_for_repeated_requests(api: Api) -> None:
    key = {"Idempotency-Key": "k"}
    first = api.post("/people", {"name": "anna", "password": GOOD}, headers=key)
    again = api.post("/people", {"name": "anna", "password": "another good one"}, headers=key)
    assert (first.status_code, again.status_code, again.headers["Idempotency-Replayed"]) == (201, 201, "true")
    assert api.post("/people", {"name": "eve", "password": GOOD}, headers=key).status_code == 409  # another request
    with api.ports.database.read() as work:
        marks = {name: work.answers.get("person shell", name) for name in ("k", "l")}
    assert marks["l"] is None
    assert marks["k"] is not None
    api.delete("/people/anna")
    api.post("/people", {"name": "anna", "password": "quite another one"}, headers={"Idempotency-Key": "l"})
    with api.ports.database.read() as work:
        other = work.answers.get("person shell", "l")
    assert other is not None
    assert other.mark == marks["k"].mark  # it does not depend on the password


def test_one_browser_is_signed_out_by_its_owner_or_who_looks_after_the_site(api: Api) -> None:
    people.add(api.ports, "anna", password=GOOD, grants=(Grant(Role.TEACHER),))
    people.add(api.ports, "eve", password=GOOD, grants=(Grant(Role.TEACHER),))
    anna, eve = browser(api, "anna"), browser(api, "eve")
    of_anna = anna.get(f"{ROOT}/account").json["sign_ins"][0]["id"]
    assert eve.delete(f"{ROOT}/sign-ins/{of_anna}").status_code == 404
    assert anna.get(f"{ROOT}/account").status_code == 200
    assert fits(api.delete(f"/sign-ins/{of_anna}"), "sign_ins_end").status_code == 200
    assert anna.get(f"{ROOT}/account").status_code == 401


def test_roles_are_told(shared: Api) -> None:
    told = {each["name"]: each["rights"] for each in fits(shared.get("/roles"), "roles_list").json["items"]}
    assert told["viewer"] == ["look"]
    assert [name for name, rights in told.items() if "site" in rights or "people" in rights] == ["administrator"]


@pytest.mark.parametrize("field", ["password", "code"])
def test_secrets_are_no_part_of_what_values_show(field: str) -> None:
    from labvirt.web.api.account import Confirmation, PhoneCode
    from labvirt.web.api.people import PasswordNew, PersonNew

    for model in (Confirmation, PhoneCode, PasswordNew, PersonNew):
        if field in model.model_fields:
            told = {"name": "anna", field: "hush"} if model is PersonNew else {field: "hush"}
            value = model.model_validate_json(json.dumps(told))
            assert model.secrets() == {field}
            assert "hush" not in repr(value)
            assert getattr(value, field) == "hush"
