# SPDX-License-Identifier: MIT
"""Each noun does through the API what its use cases do, and every answer is as the document says."""

from __future__ import annotations

import json

import pytest
from jsonschema_rs import Draft202012Validator
from werkzeug.test import TestResponse

from labvirt.contracts.engine import PoolStatus
from labvirt.domain.pool import SpareKind
from labvirt.web.api.blueprint import NOUNS, document_text

from .conftest import Api

DOCUMENT = json.loads(document_text())


def fits(response: TestResponse, id: str) -> TestResponse:
    """The answer is one that the document tells for this operation."""
    told = next(each for methods in DOCUMENT["paths"].values() for each in methods.values() if each.get("operationId") == id)
    answer = told["responses"][str(response.status_code)]
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    content = answer.get("content", {})
    if not content:
        assert not response.data
        return response
    schema = content[response.mimetype]["schema"]
    if response.mimetype.endswith("json"):
        errors = list(Draft202012Validator({**schema, "components": DOCUMENT["components"]}).iter_errors(response.json))
        assert not errors, errors[0].message
    return response


def test_the_schema_is_really_looked_at(api: Api) -> None:
    response = fits(api.get("/labs/lab-a"), "labs_show")
    planted = json.loads(response.data) | {"planted": 1}
    response.set_data(json.dumps(planted))
    response.__dict__.pop("json", None)
    with pytest.raises(AssertionError, match="planted"):
        fits(response, "labs_show")


def test_a_lab_from_its_beginning_to_its_end(api: Api) -> None:
    made = fits(api.post("/labs", {"name": "lab-b", "network": "10.78.0.0/24", "max_instances": 8}), "labs_add")
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/labs/lab-b")
    assert made.json["max_instances"] == 8
    assert api.get("/labs/lab-b").json == made.json
    changed = fits(api.patch("/labs/lab-b", {"note": "second floor", "network": "10.79.0.0/24"}), "labs_change")
    assert (changed.json["note"], changed.json["network"], changed.json["max_instances"]) == ("second floor", "10.79.0.0/24", 8)
    assert fits(api.delete("/labs/lab-b"), "labs_remove").status_code == 204
    assert fits(api.get("/labs/lab-b"), "labs_show").status_code == 404


def test_the_seats_of_a_lab_are_started_and_stopped(api: Api) -> None:
    started = fits(api.post("/labs/lab-a/start"), "labs_start")
    assert [each["name"] for each in started.json["items"]] == ["lab-a-01", "lab-a-02", "lab-a-03", "lab-a-04"]
    stopped = fits(api.post("/labs/lab-a/stop", {"how": "kill"}), "labs_stop")
    assert {each["wish"] for each in stopped.json["items"]} == {"stopped"}


def test_what_a_lab_is_told(api: Api) -> None:
    told = fits(api.post("/labs/lab-a/messages", {"sentence": "Ten minutes left."}), "labs_tell")
    assert [each["text"] for each in told.json["items"]] == ["Ten minutes left."]
    ended = fits(api.post("/labs/lab-a/end", {"minutes": 30, "then": "stop"}), "labs_end")
    assert [each["due"] for each in ended.json["items"]] == ["stop"]
    assert [each["due"] for each in fits(api.delete("/labs/lab-a/end"), "labs_call_off_end").json["items"]] == [None]


def test_a_terminal_is_added_changed_and_removed(api: Api) -> None:
    made = fits(api.post("/terminals", {"lab": "lab-a", "mac": "52:54:00:AA:00:99", "parameters": {"X": "1"}}), "terminals_add")
    assert (made.status_code, made.json["name"], made.json["mac"], made.json["parameters"]) == (
        201,
        "lab-a-t05",
        "52:54:00:aa:00:99",
        {"X": "1"},
    )
    changed = fits(api.patch("/terminals/lab-a-t05", {"mac": None, "inventory_id": "thin-5"}), "terminals_change")
    assert (changed.json["mac"], changed.json["inventory_id"], changed.json["seat"]) == (None, "thin-5", 5)
    assert api.delete("/terminals/lab-a-t05").status_code == 204
    assert len(fits(api.get("/terminals?lab=lab-a"), "terminals_list").json["items"]) == 4


def test_a_profile_with_its_copy_and_what_differs(api: Api) -> None:
    slots = [{"bus": "virtio", "image": "tiny"}, {"kind": "cdrom", "bus": "sata"}]
    made = fits(api.post("/profiles", {"name": "office", "memory_mib": 128, "slots": slots, "labs": ["lab-a"]}), "profiles_add")
    assert (made.status_code, made.json["labs"], len(made.json["slots"])) == (201, ["lab-a"], 2)
    copied = fits(api.post("/profiles/office/clone", {"name": "office-2"}), "profiles_clone")
    assert not copied.json["active"]
    differs = fits(api.get("/profiles/office/difference/office-2"), "profiles_difference").json["items"]
    assert "active" in {each["field"] for each in differs}
    assert fits(api.get("/profiles/office/preview?lab=lab-a&seat=2"), "profiles_preview").json["command_line"][0] == "qemu-system-x86_64"
    text = "def test_it(guest):\n    pass\n"
    checked = fits(api.put("/profiles/office/checks/test_it.py", {"text": text}), "profiles_put_check")
    assert checked.json["checks"] == ["test_it.py"]
    assert fits(api.get("/profiles/office/checks/test_it.py"), "profiles_check").json["text"] == text
    assert fits(api.delete("/profiles/office/checks/test_it.py"), "profiles_remove_check").json["checks"] == []


def test_long_work_is_accepted_and_told_where(api: Api) -> None:
    begun = fits(api.post("/images", {"name": "win11", "size_bytes": 1 << 30}), "images_blank")
    assert (begun.status_code, begun.headers["Location"], begun.headers["Retry-After"]) == (202, "/api/v1/jobs/1", "1")
    assert fits(api.client.get(begun.headers["Location"]), "jobs_show").json["kind"] == "blank"
    assert fits(api.get("/jobs?ended=false&kind=blank"), "jobs_list").json["items"][0]["number"] == 1
    assert fits(api.post("/jobs/1/cancel"), "jobs_cancel").json["cancel"] or api.get("/jobs/1").json["ended"]


def test_orders_and_times(api: Api) -> None:
    placed = fits(api.post("/terminals/lab-a-t01/order", {"word": "restart"}), "power_order")
    assert placed.json["state"] == "waiting"
    assert fits(api.delete("/terminals/lab-a-t01/order"), "power_cancel").json["state"] == "cancelled"
    assert [each["word"] for each in fits(api.get("/orders?terminal=lab-a-t01"), "power_list").json["items"]] == ["restart"]
    times = fits(api.patch("/labs/lab-a/power", {"on": "07:30", "days": "mon,wed", "on_power_off": "keep"}), "power_change_lab")
    assert (times.json["on"], times.json["off"], times.json["on_power_off"]) == ("07:30", None, "keep")
    assert fits(api.put("/terminals/lab-a-t01/power", {"on_power_off": "stop"}), "power_set_terminal").json == {
        "terminal": "lab-a-t01",
        "on_power_off": "stop",
        "own": True,
    }


def test_desktops_that_wait(api: Api) -> None:
    api.patch("/profiles/desktop", {"instant_clone": True})
    path = "/labs/lab-a/pools/desktop"
    assert fits(api.get(path), "pools_show").json["paused"] == 0
    put = fits(api.put(path, {"paused": 2, "minutes": 60}), "pools_put")
    assert put.json == {"lab": "lab-a", "profile": "desktop", "ready": 0, "paused": 2, "prespawned": 0, "minutes": 60}
    assert api.get(path).json == put.json
    waiting, served = ((SpareKind.PAUSED, 1),), (("paused", 5), ("boot", 1))
    status = PoolStatus(lab="lab-a", profile="desktop", waiting=waiting, served=served, holds="it is full", last_refill_seconds=0.5)
    api.engine.warm = (status, PoolStatus(lab="lab-b", profile="desktop"))
    assert fits(api.get("/labs/lab-a/pools"), "pools_list").json["items"] == [
        {
            **put.json,
            "waiting": {"paused": 1},
            "served": {"paused": 5, "boot": 1},
            "holds": "it is full",
            "last_refill_seconds": 0.5,
        }
    ]
    assert api.put(path, {"paused": 2, "cold": 1}).status_code == 400
    refused = fits(api.put(path, {"ready": 61}), "pools_put")
    assert (refused.status_code, refused.json["field"]) == (400, "ready")
    api.engine.away = True
    assert [each["waiting"] for each in fits(api.get("/labs/lab-a/pools"), "pools_list").json["items"]] == [None]
    assert fits(api.delete(path), "pools_remove").status_code == 204
    assert api.get("/labs/lab-a/pools").json["items"] == []


def test_settings_come_from_their_level(api: Api) -> None:
    fits(api.put("/settings/language?lab=lab-a", {"value": "es"}), "settings_set")
    told = fits(api.get("/settings?terminal=lab-a-t01"), "settings_show").json["settings"]
    assert next(each for each in told if each["key"] == "language") == {
        "key": "language",
        "value": "es",
        "from": "lab",
        "of": "lab-a",
        "own": False,
    }
    assert fits(api.delete("/settings/language?lab=lab-a"), "settings_unset").status_code == 200


def test_what_somebody_says_of_a_guest(api: Api) -> None:
    assert fits(api.get("/guests/lab-a-t01"), "guests_show").json["name"] == "lab-a-01"
    assert fits(api.get("/guests/lab-a-01/screen"), "guests_screen").data == b"\x89PNG"
    assert fits(api.get("/guests/lab-a-01/explanation"), "guests_explain").json["lab"] == "lab-a"
    assert fits(api.post("/guests/lab-a-02/start"), "guests_start").json["wish"] == "running"
    assert fits(api.post("/old-guests/restart", {"dry_run": True}), "guests_restart_old").status_code == 200


def _looks() -> list[tuple[str, str]]:
    places = {
        "lab": "lab-a", "terminal": "lab-a-t01", "terminal_class": "spice", "profile": "desktop", "image": "tiny", "guest": "lab-a-01",
        "host": "here", "number": "1", "other": "desktop", "draft": "tiny.d1", "check": "test_x.py", "run": "lab-a-01.g1", "code": "ABC234",
        "person": "nobody-yet", "group": "none", "token": "none",
    }  # fmt: skip
    words = {"labs_dhcp": "?form=kea", "profiles_preview": "?lab=lab-a"}
    return [
        (each.id, each.path.format(**places) + words.get(each.id, "")) for noun in NOUNS for each in noun.operations if each.method == "GET"
    ]


@pytest.mark.parametrize("id, path", _looks())
def test_every_look_is_as_the_document_says(shared: Api, id: str, path: str) -> None:
    response = fits(shared.get(path), id)
    missing = {"profiles_check", "versions_picture", "sessions_show", "rescue_files", "site_kiosk", "jobs_show", "jobs_lines"}
    missing |= {"people_show", "people_sign_ins", "groups_show", "tokens_show", "site_examined"}
    assert response.status_code == (404 if id in missing else 200)


def test_while_the_engine_is_away(api: Api) -> None:
    assert api.get("/engine").status_code == 200
    api.engine.away = True
    refused = fits(api.get("/engine"), "site_engine")
    assert (refused.status_code, refused.json["code"]) == (503, "engine-away")
    assert int(refused.headers["Retry-After"]) > 0
    assert fits(api.get("/labs"), "labs_list").status_code == 200
