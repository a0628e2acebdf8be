# SPDX-License-Identifier: MIT
"""Images, versions and what was left behind: real files in the store, no guest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.domain.canary import Canary, CanaryStep
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice
from tests.cli.conftest import DISK, Line, keep_something

PNG = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture
def second(line: Line, tmp_path: Path) -> Line:
    """With a second version of tiny that nobody tried."""
    source = tmp_path / "second.raw"
    source.write_bytes(DISK[::-1])
    told = line.json("image", "import", "tiny", str(source), "--format", "raw", "--draft", "--note", "try")
    assert told["result"]["image"] == "tiny"
    return line


def tried(line: Line, number: int, ok: bool) -> None:
    with line.ports() as ports, ports.database.write() as work:
        steps = (CanaryStep(name="it starts", ok=True), CanaryStep(name="it gets its lease", ok=ok, said="10.77.0.193", seconds=1.5))
        canary = Canary(
            image="tiny", version=number, profile="desk", at=ports.clock.now(), seconds=2, steps=steps, picture="p.png", log="boot"
        )
        work.canaries.put(canary)
        work.commit()
        ports.trials.keep_picture("p.png", PNG)


def test_a_file_is_imported_shown_and_listed(second: Line) -> None:
    shown = second.json("image", "show", "tiny")
    assert (shown["published"], [v["number"] for v in shown["versions"]], shown["profiles"]) == (1, [1, 2], ["desk"])
    first, draft = shown["versions"]
    assert (draft["stage"], draft["note"], draft["canary"], draft["depth"], draft["damage"]) == ("draft", "try", None, 1, "")
    assert draft["used_bytes"] > 0
    assert {each["need"] for each in first["users"]} == {"pointer", "profile"}
    text = second.run("image", "show", "tiny").stdout
    assert draft["sha256"] in text
    assert "used by desk" in text
    assert "v2: draft" in text
    assert [each["name"] for each in second.json("image", "list")] == ["tiny"]
    assert [each["number"] for each in second.json("version", "list", "tiny")] == [1, 2]
    assert second.json("version", "show", "tiny", "2")["number"] == 2
    assert second.json("version", "show", "tiny", "7", code=1)["error"]["name"] == "tiny:7"


def test_a_test_guest_is_built_and_an_empty_disk_made(line: Line) -> None:
    assert line.json("image", "build", "tiny", "--name", "other")["result"]["version"] == "other v1"
    assert "other v2 is a draft." in line.run("image", "build", "tiny", "--name", "other").stdout  # nobody has tried it yet
    told = line.json("image", "blank", "win11", "--size", "1.5G", "--note", "for the teachers")
    assert told["arguments"]["bytes"] == str(3 << 29)
    assert line.json("image", "show", "win11")["published"] is None
    assert line.json("image", "show", "win11")["versions"][0]["virtual_bytes"] == 3 << 29
    assert "labvirt admin start" in line.run("image", "blank", "win11", "--size", "64M").stdout
    assert line.json("image", "blank", "win11", "--size", "64T", code=2)["error"]["field"] == "size"


def test_what_is_wrong_with_a_file_is_said_and_nothing_is_imported(line: Line, tmp_path: Path) -> None:
    good = tmp_path / "disk.raw"
    good.write_bytes(DISK)
    checksum = hashlib.sha256(DISK).hexdigest()
    assert line.json("image", "import", "x", str(tmp_path / "absent"), "--format", "raw", code=2)["error"]["field"] == "source"
    wrong = line.json("image", "import", "x", str(good), "--format", "raw", "--sha256", "0" * 64, code=2)["error"]
    assert wrong["code"] == "invalid-input"
    assert checksum in wrong["sentence"]
    assert line.json("image", "import", "x", str(good), "--format", "qcow2", code=1)["error"]["code"] == "image-damaged"
    assert "x" not in {each["name"] for each in line.json("image", "list") if each["versions"]}
    assert line.json("image", "import", "x", str(good), "--format", "raw", "--sha256", checksum.upper())["state"] == "done"


def test_only_what_was_tried_is_published_and_undo_goes_back(second: Line, tmp_path: Path) -> None:
    error = second.json("version", "publish", "tiny", "2", code=1)["error"]
    assert (error["code"], "labvirt version test tiny 2" in error["hint"]) == ("conflict", True)
    tried(second, 2, ok=False)
    assert "red" in second.json("version", "publish", "tiny", "2", code=1)["error"]["sentence"]
    assert second.json("version", "publish", "tiny", "2", "--override", "exam in ten minutes")["published"] == 2
    assert "exam in ten minutes" in second.json("audit", "list", "--subject", "tiny")[0]["what"]
    assert second.json("version", "rollback", "tiny")["published"] == 1
    tried(second, 2, ok=True)
    assert "labvirt version rollback tiny" in second.run("version", "publish", "tiny", "2").stdout
    assert "tiny v1 is published again" in second.run("version", "rollback", "tiny").stdout
    told = second.json("version", "show", "tiny", "2", "--picture", str(tmp_path / "p.png"))
    assert (told["canary"]["green"], told["canary"]["steps"][1]["said"]) == (True, "10.77.0.193")
    assert (tmp_path / "p.png").read_bytes() == PNG
    assert "+ it gets its lease: 10.77.0.193 (1.5 s)" in second.run("version", "show", "tiny", "2").stdout
    assert second.json("version", "show", "tiny", "1", "--picture", str(tmp_path / "q.png"), code=1)["error"]["noun"] == "picture"


def test_the_recycle_bin_and_who_keeps_something_from_it(second: Line) -> None:
    error = second.json("version", "delete", "tiny", "1", code=1)["error"]
    assert (error["code"], "the profile desk" in error["by"]) == ("in-use", True)
    assert {each["need"] for each in second.json("image", "needs", "tiny:1")} == {"pointer", "profile"}
    assert second.json("image", "needs", "tiny:2") == []
    assert second.run("image", "needs", "tiny:2").stdout == "Nobody needs tiny v2.\n"
    assert second.json("version", "delete", "tiny", "2")["binned_at"]
    assert "recycle bin" in second.run("version", "list", "tiny").stdout
    (rubbish,) = second.json("image", "gc", "--dry-run")
    assert (rubbish["kind"], rubbish["name"]) == ("version", "tiny v2")
    assert second.json("version", "restore", "tiny", "2")["binned_at"] is None
    assert "nobody needs" in second.run("image", "gc", "--dry-run").stdout
    assert second.json("image", "delete", "tiny", code=1)["error"]["code"] == "in-use"
    second.json("profile", "remove", "desk")
    assert "labvirt image restore tiny" in second.run("image", "delete", "tiny").stdout
    assert "recycle bin since" in second.run("image", "list").stdout
    assert second.json("image", "restore", "tiny")["binned_at"] is None
    second.json("version", "delete", "tiny", "2")
    second.clock.go(8 * 86400)
    assert second.json("image", "gc")["result"]["removed"] == "1"
    assert [each["number"] for each in second.json("version", "list", "tiny")] == [1]
    assert second.run("image", "gc").stdout.startswith("0 things that nobody needs are gone")


def test_notes(second: Line) -> None:
    assert second.json("image", "note", "tiny", "for everybody")["note"] == "for everybody"
    assert second.json("version", "note", "tiny", "2", "$(reboot)")["note"] == "$(reboot)"
    assert "for everybody" in second.run("image", "list").stdout


def test_a_version_is_exported_flattened_and_checked(second: Line, tmp_path: Path) -> None:
    target = tmp_path / "out.raw"
    told = second.json("image", "export", "tiny:2", str(target), "--format", "raw")
    assert target.read_bytes() == DISK[::-1]
    assert told["result"]["sha256"] == hashlib.sha256(DISK[::-1]).hexdigest()
    assert second.json("image", "export", "tiny", str(target), "--format", "raw", code=2)["error"]["code"] == "invalid-input"
    compressed = second.run("image", "export", "tiny", str(tmp_path / "out.qcow2"), "--format", "qcow2", "--compress")
    assert (compressed.exit_code, "sha256 " in compressed.stdout) == (0, True)
    assert second.json("version", "flatten", "tiny", "2")["state"] == "done"
    assert second.json("image", "check") == {"ok": True, "findings": []}
    assert second.json("image", "scrub")["state"] == "done"
    file = second.state / "images" / second.json("version", "show", "tiny", "2")["file"]
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.seek(-10, 2)
        opened.write(b"?")
    assert second.json("image", "check", "tiny", code=1)["findings"][0]["severity"]
    assert second.json("image", "scrub", "tiny", code=1)["error"]["code"] == "image-damaged"
    assert "damaged" in second.run("image", "list").stdout
    assert second.json("version", "publish", "tiny", "2", "--override", "x", code=1)["error"]["code"] == "image-damaged"


def test_what_a_guest_had_written_is_listed_started_and_forgotten(line: Line) -> None:
    assert line.json("rescue", "list") == []
    assert "rescue_hours" in line.run("rescue", "list").stdout
    keep_something(line)
    (kept,) = line.json("rescue", "list")
    assert (kept["run"], kept["why"], kept["terminal"], kept["guest"]) == ("lab-a-01.g3", "it crashed", "pc-01", None)
    assert line.json("rescue", "list", "--guest", "pc-02") == []
    assert "it crashed" in line.run("rescue", "list", "--guest", "pc-01").stdout
    guest = line.json("rescue", "start", "pc-01")
    assert (guest["name"], guest["purpose"], guest["source"]) == ("lab-a-s01", "rescue", "lab-a-01.g3")
    assert line.json("rescue", "forget", "lab-a-01.g3", code=1)["error"]["by"] == "the guest lab-a-s01"
    assert "rescue lab-a-01.g3" in line.run("guest", "list").stdout
    with line.ports() as ports, ports.database.write() as work:
        work.guests.remove("lab-a-s01")
        work.commit()
    assert "is forgotten" in line.run("rescue", "forget", "lab-a-01").stdout
    assert line.json("rescue", "files", "lab-a-01.g3", code=1)["error"]["code"] == "not-found"


def test_files_with_names_that_move_the_cursor_are_listed_in_one_line(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from labvirt.contracts.offline import OfflineEntry

    evil = "1/home/\x1b[2J\udcff\nroot"
    entries = (
        OfflineEntry(path=evil, folder=False, size_bytes=3000, modified="2026-03-02"),
        OfflineEntry(path="1/x", folder=True, size_bytes=0),
    )
    monkeypatch.setattr("labvirt.usecases.rescue.files", lambda ports, run, path, place: entries)
    result = line.run("rescue", "files", "lab-a-01.g3", "1/home")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 3
    assert "\x1b" not in result.stdout
    assert "3 KiB" in result.stdout
    told = json.loads(line.run("rescue", "files", "pc-01", "--json").stdout)
    assert told[0] == {"path": evil, "folder": False, "size_bytes": 3000, "modified": "2026-03-02"}


def test_sessions_begin_only_where_they_may(line: Line) -> None:
    assert line.json("admin", "list") == []
    assert "labvirt admin start" in line.run("admin", "list").stdout
    assert line.json("admin", "start", code=2)["error"]["field"] == "profile"
    assert line.json("admin", "show", "tiny", code=1)["error"]["noun"] == "draft"
    assert line.json("admin", "start", "--draft", "tiny.d5", code=1)["error"]["noun"] == "draft"
    assert line.json("admin", "start", "desk", "--boot", "cdrom", code=2)["error"]["field"] == "boot"
    assert line.json("admin", "start", "desk", "--image", "other", code=2)["error"]["field"] == "image"
    line.does_jobs = False
    told = line.json("admin", "start", "desk", "--detach")
    assert (told["kind"], told["subject"], told["state"]) == ("session", "tiny.d1", "queued")
    error = line.json("admin", "start", "desk", code=1)["error"]
    assert "labvirt job cancel 2" in error["hint"]


def test_old_seats_are_restarted_with_a_grace(second: Line) -> None:
    assert second.json("guest", "restart-old") == []
    assert "has the version it would get now" in second.run("guest", "restart-old").stdout
    from labvirt.domain.guest import GuestState

    second.json("guest", "start", "pc-01")
    with second.ports() as ports, ports.database.write() as work:
        guest = work.guests.one("lab-a-01").moved(GuestState.CONNECTED, ports.clock.now())
        disks = (DiskChoice(place=0, image="tiny", version=1),)
        work.guests.update(replace(guest, profile="desk", disks=disks, run=RunId("lab-a-01", 1)))
        work.commit()
    second.json("version", "publish", "tiny", "2", "--override", "x")
    (listed,) = second.json("guest", "list")
    assert (listed["is_old"], listed["next"][0]["version"]) == (True, 2)
    assert "tiny v1, v2 at next start" in second.run("guest", "list").stdout
    words = ("guest", "restart-old", "--image", "tiny", "--grace", "60")
    (told,) = second.json(*words, "--dry-run")
    assert (told["guest"], told["versions"]["is_old"]) == ("lab-a-01", True)
    assert second.json("guest", "show", "lab-a-01")["due"] is None
    assert "1 seat to be started afresh." in second.run(*words).stdout
    shown = second.json("guest", "show", "lab-a-01")
    assert (shown["due"], bool(shown["notice"])) == ("fresh", True)
    assert shown["notice"] in second.run("guest", "list").stdout
    assert second.json("guest", "restart-old", "--grace", "-1", code=2)["error"]["field"] == "grace"


def test_a_seat_runs_from_a_disc(line: Line, tmp_path: Path) -> None:
    disc = tmp_path / "memtest.iso"
    disc.write_bytes(b"disc")
    told = line.json("guest", "run", "pc-01", "--cdrom", str(disc), "--boot", "cdrom")
    assert (told["cdrom"], told["boot_cdrom"], told["wish"]) == (str(disc), True, "running")
    assert f"CD {disc}, boots from it" in line.run("guest", "show", "pc-01").stdout
    assert line.json("guest", "run", "pc-01", "--cdrom", str(tmp_path / "absent"), code=2)["error"]["field"] == "cdrom"
    assert line.json("guest", "fresh", "pc-01")["cdrom"] == ""
