# SPDX-License-Identifier: MIT
"""Flow 2 on the real thing: a teacher's update beside a class that works, its canary, its publication, the seats' change, and undo."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, guest_address, special, special_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

CHECK = """
def test_the_record_is_on_the_disk(guest):
    done = guest.run(". /lib/labvirt/disk.sh; kept_lines")
    assert done.code == 0
    assert "lesson ohms law" in done.out
    assert guest.port(7000)


def test_the_screen_shows_something(guest):
    assert guest.screen().size[0] >= 640
"""


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 2, profile=("--session-policy", "alongside"))
    house.serve()
    house.switch_on(2)
    house.all_ready()
    return house


def test_update_publish_undo_beside_a_class_that_works(
    house: House, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    check = tmp_path / "test_lesson.py"
    check.write_text(CHECK)
    house.call("profile", "checks", "add", "tiny", str(check))
    before = house.all_facts()
    opened = house.call("admin", "start", "tiny")
    assert opened["result"] == {"draft": "tiny.d1", "guest": special(1)}
    session = house.call("admin", "show", "tiny")
    assert (session["state"], session["guest"], session["guest_state"], session["parent"]) == ("open", special(1), "running", 1)
    told = house.facts_at(special_address(special(1)), 60)
    assert (told["name"], told["serial"], told["mac"]) == (special(1), special(1), "02:4c:56:00:0f:f0")
    house.keep(special(1), "lesson", "ohms law")

    began = time.monotonic()
    published = house.call("admin", "publish", "tiny", "--note", "physics")
    seconds = time.monotonic() - began
    record_property("publish_with_canary_seconds", round(seconds, 1))
    print(f"publish with canary: {seconds:.1f} s")
    assert published["result"] == {"draft": "tiny.d1", "image": "tiny", "number": "2", "version": "tiny v2"}
    version = house.call("version", "show", "tiny", "2")
    assert (version["stage"], version["note"], version["parent"], version["canary"]["green"]) == ("published", "physics", 1, True)
    steps = [step["name"] for step in version["canary"]["steps"]]
    assert steps == [
        "it starts",
        "it gets its lease",
        "its spice port is open",
        "it shows a picture",
        "check test_lesson.py::test_the_record_is_on_the_disk",
        "check test_lesson.py::test_the_screen_shows_something",
    ]
    picture = tmp_path / "canary.png"
    house.call("version", "show", "tiny", "2", "--picture", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")

    # The class did not notice: same boot, old content, and everybody can see that there is something newer.
    for seat in (1, 2):
        assert house.facts(seat)["boot_id"] == before[guest(seat)]["boot_id"]
        assert house.records(guest_address(seat)) == {}
    listed = {row["name"]: row for row in house.call("guest", "list")}
    for seat in (1, 2):
        row = listed[guest(seat)]
        assert (_versions(row["disks"]), _versions(row["next"]), row["is_old"]) == ([1], [2], True)

    restarted = house.call("guest", "restart-old", "--lab", "sys", "--grace", "0")
    assert [each["guest"] for each in restarted] == [guest(1), guest(2)]
    wait_for(lambda: all(_versions(house.guest(seat)["disks"]) == [2] for seat in (1, 2)), "both have v2", 60)
    house.all_ready()
    for seat in (1, 2):
        assert house.records(guest_address(seat)) == {"lesson": "ohms law"}
    assert house.call("guest", "restart-old", "--lab", "sys", "--grace", "0") == []

    undone = house.call("version", "rollback", "tiny")
    assert (undone["published"], undone["previous"]) == (1, 2)
    assert house.records(guest_address(2)) == {"lesson": "ohms law"}
    house.call("guest", "fresh", guest(1))
    wait_for(lambda: _versions(house.guest(1)["disks"]) == [1], "it has v1 again", 60)
    house.all_ready()
    assert house.records(guest_address(1)) == {}
    said = [entry["what"] for entry in house.call("audit", "list", "--subject", "tiny")]
    assert any("version 2 published by" in what for what in said), said
    house.verify_clean()


def _versions(disks: list[dict[str, Any]]) -> list[int]:
    return [disk["version"] for disk in disks]


def test_a_session_is_refused_while_the_class_works(house: House) -> None:
    before = house.all_facts()
    house.call("profile", "set", "tiny", "--session-policy", "refuse")
    refused = house.run("admin", "start", "tiny")
    assert (refused.code, refused.sentence.startswith("2 clients of sys run from tiny")) == (1, True), refused
    assert house.call("admin", "list") == []
    assert {name: told["boot_id"] for name, told in house.all_facts().items()} == {name: told["boot_id"] for name, told in before.items()}


def test_a_session_drains_the_class_and_gives_it_back(house: House) -> None:
    house.call("guest", "stop", guest(2), "--how", "stop")
    wait_for(lambda: house.state_of(2) == "stopped", "one is off, so that the drain has one to tell")
    house.call("profile", "set", "tiny", "--session-policy", "drain", "--drain-seconds", "8")
    one, two = house.terminals
    job = house.call("admin", "start", "tiny", "--detach")["number"]
    told = wait_for(lambda: (answer := one.ask()).get("notice") and answer, "the terminal is told")
    assert told["status"] == "ready"
    assert "tiny is being updated" in told["notice"]
    steps: list[str] = []
    while house.state_of(1) == "running":
        steps.append(house.step_of(job))
        time.sleep(0.5)
    assert any("waiting for 1 computer" in step for step in steps), steps
    held = two.ask()
    assert held["status"] == "failed"
    assert re.search(r"tiny is being updated by \S+ since \d{4}-\d\d-\d\d \d\d:\d\d", held["message"]), held
    done = house.call("job", "wait", str(job))
    assert done["state"] == "done"
    session = done["result"]
    assert house.state_of(1) == "stopped"
    assert house.row(session["guest"])["state"] == "running"
    assert "tiny is being updated by" in one.ask()["message"]
    kept = house.call("admin", "keep", session["draft"])
    assert kept["state"] == "kept"
    wait_for(lambda: one.ask()["status"] in ("starting", "ready"), "it may start again")
    house.all_ready([one])
    wait_for(lambda: house.row(session["guest"])["state"] == "stopped", "the session's guest is off", 60)
    house.call("admin", "discard", session["draft"])
    house.verify_clean()
