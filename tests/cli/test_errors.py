# SPDX-License-Identifier: MIT
"""Refusals: a sentence, a hint, an exit code, never a trace; and hostile words are refused before anything is
written.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labvirt import errors
from labvirt.cli.errors import EXIT_CODES, exit_code
from tests.cli.conftest import Line

HOSTILE = ["x" * 300, "$(reboot)", "a;reboot", "../../etc/passwd", "a/b", "-", "a b", "é", "a\nb", "a\x1b[2J", "%ADDRESS%", "''"]

FIELDS: list[tuple[str, list[str]]] = [
    ("name", ["lab", "add", "?", "--network", "10.78.0.0/24"]),
    ("network", ["lab", "add", "lab-b", "--network", "?"]),
    ("domain", ["lab", "set", "lab-a", "--domain", "?"]),
    ("on_leave", ["lab", "set", "lab-a", "--on-leave", "?"]),
    ("name", ["lab", "show", "?"]),
    ("name", ["lab", "remove", "?"]),
    ("name", ["terminal", "add", "?", "--lab", "lab-a"]),
    ("lab", ["terminal", "add", "pc-02", "--lab", "?"]),
    ("mac", ["terminal", "add", "pc-02", "--lab", "lab-a", "--mac", "?"]),
    ("terminal_class", ["terminal", "add", "pc-02", "--lab", "lab-a", "--class", "?"]),
    ("profile", ["terminal", "set", "pc-01", "--profile", "?"]),
    ("parameters", ["terminal", "set", "pc-01", "--parameter", "?"]),
    ("parameters", ["terminal", "set", "pc-01", "--parameter", "?=x"]),
    ("name", ["terminal", "remove", "?"]),
    ("lab", ["terminal", "adopt", "ABCDEF", "--lab", "?"]),
    ("name", ["terminal", "adopt", "ABCDEF", "--lab", "lab-a", "--name", "?"]),
    ("name", ["class", "add", "?", "--program", "xfreerdp", "--template", "/v:%ADDRESS%"]),
    ("program", ["class", "add", "c", "--program", "?", "--template", "/v:%ADDRESS%"]),
    ("program", ["class", "set", "rdp", "--program", "?"]),
    ("defaults", ["class", "add", "c", "--program", "xfreerdp", "--template", "/v:%ADDRESS%", "--default", "?"]),
    ("defaults", ["class", "set", "rdp", "--default", "?=x"]),
    ("no_default", ["class", "set", "rdp", "--no-default", "?"]),
    ("name", ["class", "show", "?"]),
    ("name", ["class", "remove", "?"]),
    ("name", ["profile", "add", "?", "--memory", "64", "--disk", "tiny:virtio"]),
    ("slots", ["profile", "add", "p", "--memory", "64", "--disk", "?"]),
    ("slots", ["profile", "add", "p", "--memory", "64", "--disk", "?:virtio"]),
    ("slots", ["profile", "add", "p", "--memory", "64", "--disk", "tiny:?"]),
    ("slots", ["profile", "add", "p", "--memory", "64", "--disk", "tiny@?:virtio"]),
    ("labs", ["profile", "set", "desk", "--lab", "?"]),
    ("firmware", ["profile", "set", "desk", "--firmware", "?"]),
    ("new_name", ["profile", "clone", "desk", "?"]),
    ("name", ["image", "add", "?", "--file", "FILE", "--format", "qcow2"]),
    ("name", ["image", "publish", "?", "1"]),
    ("name", ["guest", "start", "?"]),
    ("name", ["guest", "explain", "?"]),
    ("how", ["guest", "stop", "pc-01", "--how", "?"]),
]


@pytest.mark.parametrize("field, words", FIELDS, ids=["-".join([*words[:2], field, str(n)]) for n, (field, words) in enumerate(FIELDS)])
def test_hostile_words_in_every_field_are_refused_by_name_and_nothing_is_written(
    line: Line, tmp_path: Path, field: str, words: list[str]
) -> None:
    before = line.history()
    for hostile in HOSTILE:
        told = line.json(*(word.replace("?", hostile).replace("FILE", str(tmp_path / "disk.qcow2")) for word in words), code=2)
        assert told["error"].get("field") == field, (hostile, told)
        assert len(told["error"]["sentence"]) < 400
    assert line.history() == before


FREE = [
    ["terminal", "set", "pc-01", "--note", "?"],
    ["terminal", "set", "pc-01", "--id", "?"],
    ["lab", "set", "lab-a", "--note", "?"],
    ["profile", "set", "desk", "--user", "?"],
]


@pytest.mark.parametrize("words", FREE)
def test_free_text_takes_shell_and_paths_as_text_but_neither_length_nor_control(line: Line, words: list[str]) -> None:
    for text in ("$(reboot);../../x", "%ADDRESS%"):
        told = line.json(*(word.replace("?", text) for word in words))
        assert text in json.dumps(told)
    for text in ("x" * 300, "a\nb", "a\x1b[2J"):
        assert line.json(*(word.replace("?", text) for word in words), code=2)["error"]["field"]


@pytest.mark.parametrize(
    "words",
    [
        ["lab", "set", "lab-a", "--max-instances", "0"],
        ["lab", "set", "lab-a", "--max-instances", "x"],
        ["lab", "set", "lab-a", "--leave-grace-seconds", "-1"],
        ["terminal", "set", "pc-01", "--seat", "0"],
        ["terminal", "set", "pc-01", "--seat", "99999999999999999999"],
        ["profile", "set", "desk", "--memory", "1"],
        ["profile", "set", "desk", "--ready-port", "65536"],
        ["host", "set", "x", "--starts-at-once", "0"],
        ["history", "--count", "0"],
        ["terminal", "set", "pc-01", "--mac", "ff:ff:ff:ff:ff:ff"],
        ["terminal", "set", "pc-01", "--mac", "02:4c:56:00:00:01"],
        ["lab", "add", "lab-b"],
        ["lab", "frobnicate"],
        ["frobnicate"],
        ["lab", "list", "--frobnicate"],
        ["lab", "show"],
    ],
)
def test_wrong_use_has_exit_code_two(line: Line, words: list[str]) -> None:
    before = line.history()
    error = line.json(*words, code=2)["error"]
    assert error["exit_code"] == 2
    assert error["sentence"]
    assert line.history() == before


def test_people_get_sentence_and_hint_on_stderr_and_machines_an_object_on_stdout(line: Line) -> None:
    plain = line.run("lab", "show", "lab-x")
    assert (plain.exit_code, plain.stdout) == (1, "")
    assert plain.stderr == "labvirt: There is no lab called 'lab-x'.\n  List them: labvirt lab list\n"
    machine = line.run("lab", "show", "lab-x", "--json")
    assert json.loads(machine.stdout) == {
        "error": {
            "code": "not-found",
            "sentence": "There is no lab called 'lab-x'.",
            "hint": "List them: labvirt lab list",
            "exit_code": 1,
            "noun": "lab",
            "name": "lab-x",
        }
    }


def test_a_mistake_of_ours_is_one_sentence_and_its_trace_is_in_the_log(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(line.engine, "reset", broken)
    monkeypatch.setattr("labvirt.usecases.power.reset", lambda ports, name: broken(name))
    result = line.run("guest", "reset", "pc-01")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "ZeroDivisionError" in result.stderr
    log = line.state / "logs" / "command.log"
    assert str(log) in result.stderr
    assert "secret detail" in log.read_text()
    monkeypatch.setenv("LABVIRT_DEBUG", "1")
    assert "Traceback" in line.run("guest", "reset", "pc-01").stderr
    assert json.loads(line.run("guest", "reset", "pc-01", "--json").stdout)["error"]["code"] == "unexpected"


def test_a_sentence_cannot_move_the_cursor(line: Line) -> None:
    result = line.run("host", "show", "evil\x1b[2Jname")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


def test_the_nearest_line_of_the_table_counts() -> None:
    assert exit_code(errors.ImageDamaged("x")) == EXIT_CODES[errors.DriverError]
    assert exit_code(errors.AlreadyExists("lab", "x")) == 1
    assert exit_code(errors.EngineAway()) == 3
    assert exit_code(errors.InvalidInput("f", "r")) == 2
