# SPDX-License-Identifier: MIT
"""`labvirt class`: what a kind of terminal runs, who fills which parameter, and what terminals would refuse."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Line

ROOM = ["class", "add", "room", "--program", "remote-viewer", "--template", "--title=%ROOM%/%DESK% --kiosk %VV%", "--default", "ROOM=a b"]


def test_classes_are_made_shown_changed_and_removed(line: Line) -> None:
    assert line.json(*ROOM) == {
        "name": "room",
        "program": "remote-viewer",
        "template": "--title=%ROOM%/%DESK% --kiosk %VV%",
        "defaults": {"ROOM": "a b"},
        "parameters": ["ROOM", "DESK", "VV"],
        "filled_by_labvirt": [],
        "filled_by_terminal": ["VV"],
        "required": ["DESK"],
        "terminals": [],
        "missing": [],
    }
    assert {each["name"]: each["defaults"] for each in line.json("class", "list")} == {
        "rdesktop": {},
        "rdp": {},
        "room": {"ROOM": "a b"},
        "spice": {},
    }
    line.json("terminal", "set", "pc-01", "--class", "room")
    told = line.json("class", "show", "room")
    gap = {"terminal": "pc-01", "parameter": "DESK", "mend": "labvirt terminal set pc-01 --parameter DESK=VALUE"}
    assert (told["terminals"], told["missing"]) == (["pc-01"], [gap])
    error = line.json("class", "remove", "room", code=1)["error"]
    assert (error["code"], error["noun"], error["by"]) == ("in-use", "terminal class", "the terminal pc-01")

    line.json("terminal", "set", "pc-01", "--parameter", "DESK=7")
    assert line.json("class", "show", "room")["missing"] == []
    told = line.json("class", "set", "room", "--no-default", "ROOM", "--default", "SOUND=off")
    assert (told["defaults"], told["required"]) == ({"SOUND": "off"}, ["ROOM", "DESK"])
    assert [each["parameter"] for each in told["missing"]] == ["ROOM"]
    told = line.json("class", "set", "room", "--program", "xfreerdp", "--template", "/v:%ADDRESS%")
    assert (told["program"], told["filled_by_labvirt"], told["missing"]) == ("xfreerdp", ["ADDRESS"], [])

    line.json("terminal", "set", "pc-01", "--class", "spice")
    assert line.json("class", "remove", "room") == {"removed": "room"}
    error = line.json("class", "show", "room", code=1)["error"]
    assert error["hint"] == "List them: labvirt class list"
    assert [each["what"] for each in line.json("audit", "list", "--subject", "room")] == [
        "class removed",
        "class changed: program, template",
        "class changed: defaults",
        "class added with the program remote-viewer",
    ]


def test_people_read_who_fills_what_and_who_lacks_what(line: Line) -> None:
    line.json("terminal", "set", "pc-01", "--class", "rdp")
    assert line.run("class", "show", "rdp").stdout.splitlines() == [
        "rdp: xfreerdp /v:%ADDRESS%:%PORT% /u:%USER% +clipboard",
        "  needs %ADDRESS% %PORT% %USER%",
        "  LabVirt fills %ADDRESS% %PORT% %USER%; the terminal itself nothing",
        "  a terminal must have nothing",
        "  terminals: pc-01",
        "  missing: pc-01 has no %USER%. labvirt profile set desk --user ACCOUNT",
    ]
    line.json("profile", "set", "desk", "--user", "student")
    assert "missing" not in line.run("class", "show", "rdp").stdout
    rows = line.run("class", "list").stdout.splitlines()
    assert len(rows) == 4
    assert rows[0].isupper()


@pytest.mark.parametrize(
    "program, template",
    [
        ("remote-viewer", "--gtk-module=/opt/x.so %VV%"),
        ("remote-viewer", "spice://%ADDRESS%?password=x %VV%"),
        ("remote-viewer", "--kiosk"),
        ("xfreerdp", "/v:%ADDRESS% /p:hunter2"),
        ("xfreerdp", "/v:%ADDRESS% --rdp2tcp:/bin/sh"),
        ("rdesktop", "-u %USER% -p - %ADDRESS%"),
        ("rdesktop", "-fphunter2 %ADDRESS%"),
        ("rdesktop", "x " * 65),
        ("rdesktop", "x" * 1001),
        ("rdesktop", "a\nb"),
        ("rdesktop", "a\x1b[2J"),
        ("rdesktop", "%" + "A" * 33 + "%"),
    ],
)
def test_a_template_that_terminals_would_refuse_is_refused_and_nothing_is_written(line: Line, program: str, template: str) -> None:
    before = line.history()
    for words in (["add", "new"], ["set", "spice"]):
        error = line.json("class", *words, "--program", program, "--template", template, code=2)["error"]
        assert error["field"] == "template"
        assert "hunter2" not in json.dumps(error)
    assert line.history() == before
    assert [each["name"] for each in line.json("class", "list")] == ["rdesktop", "rdp", "spice"]
    line.json("class", "add", "new", "--program", program, "--template", "--x=$(reboot);../../x %VV%")  # positive control


def test_neither_a_default_nor_a_terminal_smuggles_a_refused_argument_in(line: Line) -> None:
    smuggling = ["--program", "xfreerdp", "--template", "/v:%ADDRESS% %MORE%"]
    assert line.json("class", "add", "new", *smuggling, "--default", "MORE=/p:x", code=2)["error"]["field"] == "defaults"
    assert line.json("class", "add", "new", *smuggling, "--default", "PORT=1", code=2)["error"]["field"] == "defaults"
    line.json("class", "add", "new", *smuggling, "--default", "MORE=/sound")
    line.json("terminal", "set", "pc-01", "--class", "new")
    before = line.history()
    assert line.json("terminal", "set", "pc-01", "--parameter", "MORE=/action-script:x", code=2)["error"]["field"] == "parameters"
    assert line.history() == before
    line.json("terminal", "set", "pc-01", "--parameter", "MORE=-px")  # harmless for xfreerdp
    error = line.json("class", "set", "new", "--program", "rdesktop", code=2)["error"]
    assert error["field"] == "template"
    assert "pc-01" in error["sentence"]
