# SPDX-License-Identifier: MIT
"""`labvirt settings`: shown with their origin, set, unset, and refused in words."""

from __future__ import annotations

from tests.cli.conftest import Line


def value(told: dict[str, object], key: str) -> tuple[object, object, object]:
    found = next(each for each in told["settings"] if each["key"] == key)  # type: ignore[attr-defined]
    return found["value"], found["from"], found["of"]


def test_settings_are_set_shown_with_their_origin_and_unset(line: Line) -> None:
    assert value(line.json("settings", "show"), "language") == ("auto", "default", "")
    line.json("settings", "set", "language", "es")
    line.json("settings", "set", "--lab", "lab-a", "allow", "power, restart-guest")
    told = line.json("settings", "show", "--terminal", "pc-01")
    assert (told["level"], told["subject"]) == ("terminal", "pc-01")
    assert value(told, "language") == ("es", "site", "")
    assert value(told, "allow") == ("restart-guest,power", "lab", "lab-a")
    shown = line.run("settings", "show", "--terminal", "pc-01").stdout
    assert "lab lab-a" in shown
    done = line.run("settings", "unset", "language")
    assert done.stdout == "language is auto for the site (from: default).\n"
    assert {each["key"] for each in line.json("settings", "keys")} == {each["key"] for each in told["settings"]}


def test_a_bad_value_names_key_reason_and_what_is_allowed(line: Line) -> None:
    before = line.history()
    error = line.json("settings", "set", "--lab", "lab-a", "resolution", "big", code=2)["error"]
    assert (error["code"], error["field"]) == ("invalid-input", "resolution")
    assert error["hint"] == "Allowed: auto, or WIDTHxHEIGHT from 640x480 to 7680x4320."
    assert line.json("settings", "set", "colour", "red", code=2)["error"]["field"] == "key"
    assert line.json("settings", "set", "--lab", "lab-a", "--terminal", "pc-01", "usb", "on", code=2)["error"]["field"] == "level"
    assert line.json("settings", "show", "--lab", "nowhere", code=1)["error"]["code"] == "not-found"
    assert line.history() == before
    line.json("settings", "set", "--lab", "lab-a", "resolution", "1280x720")
    assert line.history() == before + 1


def test_a_class_is_told_something_and_its_lesson_ends(line: Line) -> None:
    from dataclasses import replace

    from labvirt.domain.guest import GuestState

    assert line.json("guest", "tell", "--lab", "lab-a", "Hello.", code=1)["error"]["code"] == "conflict"
    line.json("guest", "start", "pc-01")
    with line.ports() as ports, ports.database.write() as work:
        [guest] = work.guests.list()
        work.guests.update(replace(guest, state=GuestState.RUNNING))
        work.commit()
    assert [(each["guest"], each["text"]) for each in line.json("guest", "tell", "pc-01", "Please come.")] == [(guest.name, "Please come.")]
    assert [each["text"] for each in line.json("guest", "tell", "--lab", "lab-a", "Hello.", "--minutes", "9")] == ["Hello."]
    for wrong in (["pc-01"], ["--lab", "lab-a", "pc-01", "Hello."], ["pc-01", "Hello.", "--minutes", "0"], ["pc-01", "x" * 141]):
        assert line.json("guest", "tell", *wrong, code=2)["error"]["code"] == "invalid-input"
    [told] = line.json("lab", "end", "lab-a", "--in", "30")
    assert told["due"] == "fresh"
    assert told["notice"].startswith("The lesson ends at ")
    assert line.json("lab", "end", "lab-a", "--at", "10:05", "--then", "stop")[0]["due"] == "stop"
    for wrong in ([], ["--in", "5", "--at", "10:00"], ["--at", "25:00"], ["--in", "0"], ["--in", "5", "--call-off"]):
        assert line.json("lab", "end", "lab-a", *wrong, code=2)["error"]["code"] == "invalid-input"
    assert line.json("lab", "end", "lab-a", "--call-off")[0]["due"] is None
    assert line.json("lab", "end", "lab-a", "--call-off") == []
