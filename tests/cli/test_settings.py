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
