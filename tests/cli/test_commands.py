# SPDX-License-Identifier: MIT
"""What each command does, prints, and answers by its exit code."""

from __future__ import annotations

import json
import shlex
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.cli.app import DemoWish, ServeOptions
from labvirt.domain.findings import Severity
from labvirt.usecases import asking
from tests.cli.conftest import Line, finding


def test_init_makes_a_private_site_once(bare: Line) -> None:
    told = bare.json("init")
    assert set(told) == {"state", "code"}
    assert bare.state.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in bare.state.iterdir() if each.is_dir()} == {0o700}
    assert not any(told["code"].encode() in each.read_bytes() for each in bare.state.rglob("*") if each.is_file())
    before = (bare.state / "labvirt.db").read_bytes()
    assert bare.json("init", code=1)["error"]["code"] == "conflict"
    assert (bare.state / "labvirt.db").read_bytes() == before
    assert bare.json("init", "--again")["code"] != told["code"]
    assert set(bare.json("code")) == {"code", "expires_seconds"}


def test_init_leaves_a_folder_of_somebody_else_alone(bare: Line) -> None:
    bare.state.mkdir(mode=0o755)
    (bare.state / "thesis.txt").write_text("mine")
    assert bare.json("init", code=1)["error"]["code"] == "conflict"
    assert [each.name for each in bare.state.iterdir()] == ["thesis.txt"]
    assert bare.state.stat().st_mode & 0o777 == 0o755
    (bare.state / "thesis.txt").unlink()
    bare.json("init", "--hypervisor", "fake")
    assert (bare.state / "labvirt.toml").read_text() == 'hypervisor = "fake"\n'


def test_without_a_site_every_command_says_how_to_set_one_up(bare: Line) -> None:
    for words in (["lab", "list"], ["verify"], ["guest", "start", "x-01"], ["image", "build", "tiny"], ["audit", "list"]):
        error = bare.json(*words, code=3)["error"]
        assert (error["code"], error["exit_code"]) == ("host-not-ready", 3)
        assert "labvirt init" in error["hint"]
    assert not bare.state.exists()


def test_labs(line: Line) -> None:
    told = line.json("lab", "add", "lab-b", "--network", "10.78.0.0/22", "--on-leave", "reset", "--note", "up the stairs")
    assert (told["bridge"], told["gateway"], told["capacity"], told["max_instances"]) == ("lvb001", "10.78.0.1", 255, 255)
    assert told["mac_prefix"] == "024c56"
    assert line.json("lab", "set", "lab-b", "--max-instances", "9", "--start-instances", "2")["start_instances"] == 2
    assert [lab["name"] for lab in line.json("lab", "list")] == ["lab-a", "lab-b"]
    assert line.json("lab", "show", "lab-b")["note"] == "up the stairs"
    assert line.json("lab", "remove", "lab-b") == {"removed": "lab-b"}
    assert line.json("lab", "show", "lab-b", code=1)["error"]["noun"] == "lab"
    assert line.json("lab", "remove", "lab-a", code=1)["error"]["by"] == "the terminal pc-01"


def test_terminals(line: Line) -> None:
    words = ["terminal", "add", "pc-02", "--lab", "lab-a", "--id", "inv-2", "--class", "rdp", "--parameter", "DOMAIN=a b", "--inactive"]
    told = line.json(*words)
    assert (told["seat"], told["inventory_id"], told["parameters"], told["active"]) == (2, "inv-2", {"DOMAIN": "a b"}, False)
    told = line.json(
        "terminal", "set", "pc-02", "--active", "--mac", "525400000002", "--no-id", "--parameter", "X=1", "--no-parameter", "DOMAIN"
    )
    assert (told["mac"], told["inventory_id"], told["parameters"], told["active"]) == ("52:54:00:00:00:02", None, {"X": "1"}, True)
    assert line.json("terminal", "set", "pc-02", "--mac", "525400000002", "--no-mac", code=2)["error"]["field"] == "mac"
    assert line.json("terminal", "set", "pc-02", "--profile", "desk")["profile"] == "desk"
    assert line.json("terminal", "set", "pc-02", "--no-profile", "--no-mac")["profile"] is None
    assert [each["name"] for each in line.json("terminal", "list", "--lab", "lab-a")] == ["pc-01", "pc-02"]
    assert line.json("terminal", "list", "--lab", "lab-x", code=1)["error"]["name"] == "lab-x"
    assert line.json("terminal", "remove", "pc-02") == {"removed": "pc-02"}
    error = line.json("terminal", "add", "--lab", "lab-a", "--mac", "52-54-00-00-00-01", code=1)["error"]
    assert error["code"] == "already-exists"
    assert "pc-01" in error["hint"]
    assert {each["name"] for each in line.json("class", "list")} == {"spice", "rdp", "rdesktop"}


def test_the_inbox(line: Line) -> None:
    assert line.json("terminal", "inbox") == []
    with line.app().ports(line.state) as ports:
        for number in (1, 2):
            asking.ask(ports, f"02:00:00:00:00:0{number}", IPv4Address("10.77.0.20"))
    first, second = line.json("terminal", "inbox")
    adopted = line.json("terminal", "adopt", first["code"].lower(), "--lab", "lab-a")
    assert (adopted["mac"], adopted["seat"], adopted["name"]) == (first["mac"], 2, "lab-a-t02")
    assert line.json("terminal", "dismiss", second["id"]) == {"dismissed": second["id"]}
    assert line.json("terminal", "adopt", "ZZZZZZ", "--lab", "lab-a", code=1)["error"]["noun"] == "stranger"


def test_profiles(line: Line) -> None:
    told = line.json(
        *[
            "profile",
            "add",
            "class",
            "--memory",
            "2048",
            "--machine",
            "pc",
            "--disk",
            "tiny@1:ide",
            "--disk",
            "empty:ide",
            "--disk",
            "cdrom:ide",
        ],
        *["--lab", "lab-a", "--protocol", "rdp", "--user", "student", "--ready-port", "3389", "--position", "5", "--clock", "localtime"],
    )
    assert told["slots"] == [
        {"kind": "disk", "bus": "ide", "image": "tiny", "version": 1},
        {"kind": "empty", "bus": "ide", "image": None, "version": None},
        {"kind": "cdrom", "bus": "ide", "image": None, "version": None},
    ]
    assert (told["labs"], told["clock"], told["mode"]) == (["lab-a"], "localtime", "snapshot")
    told = line.json("profile", "set", "class", "--all-labs", "--no-user", "--inactive", "--disk", "tiny:sata")
    assert (told["labs"], told["user"], told["active"], len(told["slots"])) == ([], None, False, 1)
    assert [each["name"] for each in line.json("profile", "list")] == ["class", "desk"]
    assert line.json("profile", "clone", "desk", "desk-2")["active"] is False
    assert line.json("profile", "show", "desk-2")["memory_mib"] == 64
    assert line.json("profile", "remove", "desk-2") == {"removed": "desk-2"}
    assert line.json("profile", "set", "class", "--disk", "tiny@7:sata", code=1)["error"]["name"] == "tiny:7"


def test_guests(line: Line, tmp_path: Path) -> None:
    assert line.json("guest", "list") == []
    assert line.json("guest", "show", "pc-01", code=1)["error"]["noun"] == "guest"
    told = line.json("guest", "start", "pc-01")
    assert (told["name"], told["wish"], told["state"], told["alive"], told["generation"]) == ("lab-a-01", "running", "wanted", False, 1)
    assert line.json("guest", "stop", "lab-a-01", "--how", "kill")["stop_how"] == "kill"
    assert line.json("guest", "fresh", "lab-a-01")["wish"] == "running"
    assert line.json("guest", "reset", "lab-a-01", code=1)["error"]["code"] == "guest-not-ready"
    assert len(line.json("lab", "start", "lab-a")) == 1
    assert len(line.json("lab", "stop", "lab-a", "--how", "stop")) == 1
    picture = tmp_path / "screen.png"
    assert line.json("guest", "screenshot", "pc-01", str(picture))["size_bytes"] == 4
    assert picture.read_bytes() == b"\x89PNG"
    assert line.json("guest", "screenshot", "pc-01", str(tmp_path / "no" / "x.png"), code=2)["error"]["field"] == "file"


def test_explain_tells_everything_and_a_command_line_to_copy(line: Line) -> None:
    from dataclasses import replace

    from labvirt.domain.guest import GuestState

    line.json("guest", "start", "pc-01")
    with line.app().ports(line.state) as ports, ports.database.write() as work:
        guest = work.guests.one("lab-a-01").moved(GuestState.RUNNING, ports.clock.now())
        work.guests.update(replace(guest, profile="desk"))
        work.commit()
    told = line.json("guest", "explain", "pc-01")
    assert {
        "rule",
        "verdicts",
        "profile",
        "disks",
        "identity",
        "lease",
        "host",
        "command_line",
        "guest",
        "terminal",
        "lab",
        "history",
    } <= set(told)
    assert (told["identity"]["mac"], told["identity"]["address"], told["domain"]) == (
        "02:4c:56:00:00:01",
        "10.77.0.129",
        "labvirt.internal",
    )
    assert told["disks"] == [{"place": 0, "now": None, "next": {"place": 0, "image": "tiny", "version": 1}}]
    text = line.run("guest", "explain", "lab-a-01").stdout
    command = next(row for row in text.splitlines() if row.startswith("command"))
    assert shlex.split(command)[1:] == ["qemu-system-x86_64", "-name", "a guest", "-m", "64"]


def test_hosts(line: Line) -> None:
    (host,) = line.json("host", "list")
    assert line.json("host", "show")["engine"]["accelerator"] == "fake"
    told = line.json("host", "set", host["name"], "--max-guests", "3", "--out-of-service", "--memory-reserve-mib", "100")
    assert (told["max_guests"], told["in_service"]) == (3, False)
    assert line.json("host", "set", host["name"], "--no-max-guests")["max_guests"] is None
    line.engine.away = True
    assert line.json("host", "show", host["name"])["engine"] is None
    assert line.json("host", "show", "--engine", code=3)["error"]["code"] == "engine-away"


def test_verify_and_doctor_answer_by_exit_code(line: Line) -> None:
    assert line.json("verify") == {"ok": True, "findings": []}
    line.engine.findings = (finding(Severity.WARNING),)
    told = line.json("verify", code=1)
    assert told["findings"][0] == {
        "code": "stray",
        "severity": "warning",
        "sentence": "A stray TAP lvt000fff.",
        "fix": "ip link del lvt000fff",
        "subject": "lvt000fff",
    }
    line.engine.away = True
    assert line.json("verify", code=3)["error"]["code"] == "engine-away"
    line.found = (finding(Severity.OK), finding(Severity.WARNING))
    assert line.json("doctor")["ok"] is True
    line.found = (finding(Severity.ERROR),)
    assert line.json("doctor", code=1)["ok"] is False
    assert "ip link del lvt000fff" in line.run("doctor").stdout


def test_overview_and_audit(line: Line) -> None:
    line.json("guest", "start", "pc-01")
    told = line.json("overview")
    assert told["labs"][0]["seats"][0]["guest"]["name"] == "lab-a-01"
    line.engine.away = True
    result = line.run("--json", "overview")
    assert json.loads(result.stdout)["engine"] is None
    assert "does not answer" in result.stderr
    assert line.json("audit", "list", "--subject", "pc-01")[0]["what"] == "added as seat 1 of lab-a"


def test_serve_and_demo_hand_on_what_was_asked(line: Line) -> None:
    assert line.run("serve", "--listen", "127.0.0.1:1", "--listen", "unix:/x", "--hypervisor", "fake").exit_code == 0
    assert line.run("demo", "--check", "--json", "r.json", "--terminals", "2").exit_code == 1
    serve, demo = line.served
    assert serve == ServeOptions(listen=("127.0.0.1:1", "unix:/x"), hypervisor="fake", accelerator=None)
    assert isinstance(demo, DemoWish)
    assert (demo.check, demo.json_path, demo.terminals) == (True, Path("r.json"), 2)


@pytest.mark.parametrize(
    "words",
    [["lab", "list"], ["terminal", "list"], ["profile", "list"], ["image", "list"], ["guest", "list"], ["host", "list"], ["overview"]],
)
def test_tables_for_people_have_a_row_or_a_sentence_what_to_do(line: Line, words: list[str]) -> None:
    line.json("guest", "start", "pc-01")
    rows = line.run(*words).stdout.splitlines()
    assert len(rows) == 2
    assert rows[0].isupper()


def test_options_may_stand_before_or_after_the_verb(line: Line) -> None:
    for words in (["--json", "lab", "list"], ["lab", "--json", "list"], ["lab", "list", "--json"]):
        assert json.loads(line.run(*words).stdout)[0]["name"] == "lab-a"
    assert json.loads(line.run("lab", "list", "--json", "--state", str(line.state)).stdout)
