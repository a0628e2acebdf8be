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
from tests.cli.conftest import DISK, Line

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
    ("session_policy", ["profile", "set", "desk", "--session-policy", "?"]),
    ("lab_positions", ["profile", "set", "desk", "--lab-position", "?"]),
    ("lab_positions", ["profile", "set", "desk", "--lab-position", "?=1"]),
    ("lab_positions", ["profile", "set", "desk", "--lab-position", "lab-a=?"]),
    ("extra", ["profile", "set", "desk", "--extra", "?"]),
    ("extra", ["profile", "set", "desk", "--extra", "device=?"]),
    ("extra", ["profile", "set", "desk", "--extra", "device=usb-tablet,?=1"]),
    ("checks", ["profile", "set", "desk", "--check", "?"]),
    ("other", ["profile", "diff", "desk", "?"]),
    ("lab", ["profile", "preview", "desk", "--lab", "?"]),
    ("profile", ["profile", "checks", "add", "?", "FILE"]),
    ("name", ["profile", "checks", "add", "desk", "FILE", "--name", "?"]),
    ("name", ["profile", "checks", "add", "desk", "FILE", "--name", "?.py"]),
    ("name", ["profile", "checks", "show", "desk", "?"]),
    ("name", ["profile", "checks", "remove", "desk", "?"]),
    ("name", ["image", "import", "?", "FILE", "--format", "qcow2"]),
    ("sha256", ["image", "import", "tiny", "FILE", "--format", "qcow2", "--sha256", "?"]),
    ("name", ["image", "blank", "?", "--size", "1G"]),
    ("size_bytes", ["image", "blank", "disk", "--size", "?"]),
    ("size_bytes", ["image", "blank", "disk", "--size", "?G"]),
    ("which", ["image", "export", "?", "FILE", "--format", "raw"]),
    ("which", ["image", "export", "tiny:?", "FILE", "--format", "raw"]),
    ("which", ["image", "needs", "tiny:?"]),
    ("name", ["image", "show", "?"]),
    ("name", ["image", "delete", "?"]),
    ("name", ["image", "restore", "?"]),
    ("name", ["image", "scrub", "?"]),
    ("name", ["image", "note", "?", "x"]),
    ("image", ["version", "list", "?"]),
    ("image", ["version", "publish", "?", "1"]),
    ("number", ["version", "publish", "tiny", "?"]),
    ("number", ["version", "show", "tiny", "?"]),
    ("image", ["version", "rollback", "?"]),
    ("number", ["version", "test", "tiny", "?"]),
    ("profile", ["version", "test", "tiny", "1", "--profile", "?"]),
    ("lab", ["version", "test", "tiny", "1", "--lab", "?"]),
    ("number", ["version", "flatten", "tiny", "?"]),
    ("number", ["version", "delete", "tiny", "?"]),
    ("number", ["version", "restore", "tiny", "?"]),
    ("number", ["version", "note", "tiny", "?", "x"]),
    ("profile", ["admin", "start", "?"]),
    ("lab", ["admin", "start", "desk", "--lab", "?"]),
    ("image", ["admin", "start", "desk", "--image", "?"]),
    ("draft", ["admin", "start", "--draft", "?"]),
    ("draft", ["admin", "start", "--draft", "tiny.d?"]),
    ("name", ["admin", "show", "?"]),
    ("name", ["admin", "publish", "?"]),
    ("name", ["admin", "publish", "tiny.d?"]),
    ("method", ["admin", "publish", "tiny", "--method", "?"]),
    ("name", ["admin", "keep", "?"]),
    ("name", ["admin", "discard", "?"]),
    ("name", ["admin", "restore", "?"]),
    ("guest", ["rescue", "list", "--guest", "?"]),
    ("run", ["rescue", "start", "?"]),
    ("run", ["rescue", "start", "lab-a-01.g?"]),
    ("run", ["rescue", "files", "?"]),
    ("run", ["rescue", "forget", "?"]),
    ("number", ["job", "show", "?"]),
    ("number", ["job", "cancel", "?"]),
    ("number", ["job", "wait", "?"]),
    ("name", ["guest", "run", "?", "--cdrom", "FILE"]),
    ("lab", ["guest", "restart-old", "--lab", "?"]),
    ("image", ["guest", "restart-old", "--image", "?"]),
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
    ["profile", "set", "desk", "--note", "?"],
    ["image", "note", "tiny", "?"],
    ["version", "note", "tiny", "1", "?"],
    ["image", "import", "tiny", "FILE", "--format", "raw", "--note", "?", "--detach"],
    ["image", "blank", "disk", "--size", "1M", "--note", "?", "--detach"],
]

PATHS = [
    ("source", ["image", "import", "tiny", "?", "--format", "raw"]),
    ("cdrom", ["admin", "start", "desk", "--cdrom", "?"]),
    ("cdrom", ["guest", "run", "pc-01", "--cdrom", "?"]),
    ("file", ["profile", "checks", "add", "desk", "?", "--name", "x.py"]),
]
HOSTILE_PATHS = ["x" * 300, "x" * 5000, "$(reboot)", "../../../../../../../etc", "a\nb", "a\x1b[2J", "\udcff", "/dev/null/x", "-"]


@pytest.mark.parametrize("field, words", PATHS, ids=["-".join(words[:2]) for _, words in PATHS])
def test_hostile_paths_are_refused_and_nothing_is_written(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line.does_jobs = False
    before = line.history()
    for hostile in HOSTILE_PATHS:
        result = line.run("--json", *words[:-1], words[-1].replace("?", hostile)) if words[-1] == "?" else None
        result = result or line.run("--json", *(hostile if word == "?" else word for word in words))
        assert result.exit_code == 2, (hostile, result.stdout, result.stderr)
        assert json.loads(result.stdout)["error"].get("field") in (field, "file"), result.stdout
        assert "\x1b" not in result.stderr
    assert line.history() == before
    assert line.json("job", "list") == []


INSIDE = ["../../etc/passwd", "1/../../x", "a\nb", "a\x1b[2J", "x" * 5000]


def test_a_path_inside_a_disk_stays_inside(line: Line) -> None:
    for hostile in INSIDE:
        for more in ((), ("--to", "x")):
            assert line.json("rescue", "files", "lab-a-01.g1", hostile, *more, code=2)["error"]["field"] == "path"
    assert line.json("rescue", "files", "lab-a-01.g1", "1/home/a b", code=1)["error"]["code"] == "not-found"  # positive control


@pytest.mark.parametrize("words", FREE)
def test_free_text_takes_shell_and_paths_as_text_but_neither_length_nor_control(line: Line, tmp_path: Path, words: list[str]) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(DISK)
    for text in ("$(reboot);../../x", "%ADDRESS%"):
        told = line.json(*(word.replace("?", text).replace("FILE", str(disk)) for word in words))
        assert text in json.dumps(told)
    for text in ("x" * 300, "a\nb", "a\x1b[2J"):
        assert line.json(*(word.replace("?", text).replace("FILE", str(disk)) for word in words), code=2)["error"]["field"]


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
        ["profile", "set", "desk", "--max-guests", "0"],
        ["profile", "set", "desk", "--restart-days", "0"],
        ["profile", "set", "desk", "--drain-seconds", "-1"],
        ["profile", "set", "desk", "--overlay-cap", "1"],
        ["profile", "set", "desk", "--start-guests", "99999999999999999999"],
        ["profile", "preview", "desk", "--lab", "lab-a", "--seat", "0"],
        ["guest", "restart-old", "--grace", "99999999999999999999"],
        ["image", "import", "tiny", "x"],
        ["image", "import", "tiny", "x", "--format", "vmdk"],
        ["image", "blank", "tiny"],
        ["admin", "start", "desk", "--boot", "floppy"],
        ["admin", "start"],
        ["version", "publish", "tiny"],
        ["version", "frobnicate"],
        ["profile", "checks"],
        ["audit", "list", "--count", "0"],
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
