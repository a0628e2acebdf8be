# SPDX-License-Identifier: MIT
"""Profiles with everything: limits, positions, Windows, further arguments, checks, preview, advice."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.cli.conftest import Line

CHECK = "def test_it_is_there(guest):\n    assert guest.run('true')\n"


def test_every_field_is_set_shown_and_forgotten(line: Line) -> None:
    line.json("lab", "add", "lab-b", "--network", "10.78.0.0/24")
    told = line.json(
        *("profile", "set", "desk", "--session-policy", "drain", "--drain-seconds", "600", "--overlay-cap", "4096", "--max-guests", "5"),
        *("--start-guests", "2", "--restart-days", "7", "--firmware", "uefi", "--tpm", "--hyperv", "--clock", "localtime"),
        *("--extra", "device=usb-tablet", "--extra", "cpu=max", "--lab-position", "lab-a=10", "--lab-position", "lab-b=20"),
    )
    assert (told["session_policy"], told["drain_seconds"], told["overlay_cap_mib"], told["max_guests"]) == ("drain", 600, 4096, 5)
    assert (told["start_guests"], told["restart_days"], told["tpm"], told["hyperv"]) == (2, 7, True, True)
    assert told["extra"] == ["device=usb-tablet", "cpu=max"]
    assert told["lab_positions"] == [["lab-a", 10], ["lab-b", 20]]
    text = line.run("profile", "show", "desk").stdout
    for words in (
        "Hyper-V",
        "TPM",
        "device=usb-tablet",
        "position 20 in lab-b",
        "at most 5 at once",
        "drain (600 s)",
        "may write 4096 MiB",
    ):
        assert words in text
    told = line.json("profile", "set", "desk", "--lab-position", "lab-a=", "--no-extra", "--no-overlay-cap", "--no-max-guests", "--no-tpm")
    assert (told["lab_positions"], told["extra"], told["overlay_cap_mib"], told["max_guests"]) == ([["lab-b", 20]], [], None, None)
    assert line.json("profile", "set", "desk", "--no-restart-days")["restart_days"] is None
    assert line.json("profile", "set", "desk", "--no-extra", "--extra", "cpu=max", code=2)["error"]["field"] == "extra"
    assert line.json("profile", "set", "desk", "--firmware", "bios", "--tpm", code=2)["error"]["field"] == "tpm"


def test_an_argument_that_is_not_on_the_list_is_refused(line: Line) -> None:
    before = line.history()
    for extra in ("chardev=socket,path=/x", "device=vfio-pci,host=1", "incoming=exec:reboot", "cpu=max -drive file=/etc/passwd", "device"):
        assert line.json("profile", "set", "desk", "--extra", extra, code=2)["error"]["field"] == "extra"
    assert line.history() == before
    line.json("profile", "set", "desk", "--extra", "device=i6300esb")  # positive control


def test_switching_the_network_card_says_why(line: Line) -> None:
    slow = line.run("profile", "set", "desk", "--nic", "rtl8139").stdout
    assert "card of 1997" in slow
    fast = line.run("profile", "set", "desk", "--nic", "virtio").stdout
    assert "virtio hands whole rings of packets over" in fast
    assert "virtio hands" not in line.run("profile", "set", "desk", "--cpus", "2").stdout
    line.json("profile", "set", "desk", "--nic", "e1000")
    told = line.json("profile", "show", "desk")
    (advice,) = [each for each in told["advice"] if each["field"] == "nic"]
    assert "labvirt profile set desk --nic virtio" in " ".join(advice["steps"])
    assert advice["reason"] in line.run("profile", "show", "desk").stdout


def test_the_administrative_side_stands_beside_it(line: Line) -> None:
    told = line.json("profile", "show", "desk")["administrative"]
    assert (told["policy"], told["command"], told["why_not"], told["disks"][0]["version"]) == ("refuse", "labvirt admin start desk", "", 1)
    text = line.run("profile", "show", "desk").stdout
    assert "administrative: labvirt admin start desk" in text
    assert "disk 0: tiny from v1" in text


def test_checks_are_written_shown_cloned_and_removed(line: Line, tmp_path: Path) -> None:
    file = tmp_path / "test_office.py"
    file.write_text(CHECK)
    assert "labvirt profile checks add desk" in line.run("profile", "checks", "list", "desk").stdout
    assert line.json("profile", "checks", "add", "desk", str(file))["checks"] == ["test_office.py"]
    assert line.json("profile", "checks", "add", "desk", str(file), "--name", "test_more.py")["checks"] == [
        "test_more.py",
        "test_office.py",
    ]
    assert line.json("profile", "checks", "list", "desk") == ["test_more.py", "test_office.py"]
    assert line.run("profile", "checks", "show", "desk", "test_office.py").stdout == CHECK
    assert line.json("profile", "clone", "desk", "copy")["checks"] == ["test_more.py", "test_office.py"]
    assert line.json("profile", "checks", "remove", "desk", "test_more.py")["checks"] == ["test_office.py"]
    assert line.json("profile", "set", "desk", "--no-checks")["checks"] == []
    assert line.json("profile", "set", "desk", "--check", "test_office.py")["checks"] == ["test_office.py"]
    assert line.json("profile", "checks", "show", "copy", "test_more.py")["text"] == CHECK
    assert line.json("profile", "set", "desk", "--check", "absent.py", code=2)["error"]["field"] == "checks"
    for bad in ("import (", "x" * (300 << 10)):
        file.write_text(bad)
        assert line.json("profile", "checks", "add", "desk", str(file), code=2)["error"]["code"] == "invalid-input"
    file.write_bytes(b"\xff\xfe")
    assert line.json("profile", "checks", "add", "desk", str(file), code=2)["error"]["field"] == "file"
    assert line.json("profile", "checks", "add", "desk", str(tmp_path / "absent.py"), code=2)["error"]["field"] == "file"


def test_the_command_line_is_shown_before_anything_runs(line: Line) -> None:
    told = line.json("profile", "preview", "desk", "--lab", "lab-a", "--seat", "7")
    assert told["command_line"] == ["qemu-system-x86_64", "-name", "a preview", "-m", "64"]
    assert shlex.split(line.run("profile", "preview", "desk", "--lab", "lab-a").stdout) == told["command_line"]
    assert line.engine.asked[-1] == ("preview", "desk", "lab-a", "1")
    assert line.json("profile", "preview", "desk", "--lab", "lab-a", "--seat", "9", code=2)["error"]["field"] == "seat"
    line.engine.away = True
    assert line.json("profile", "preview", "desk", "--lab", "lab-a", code=3)["error"]["code"] == "engine-away"


def test_what_two_profiles_have_otherwise(line: Line) -> None:
    line.json("profile", "clone", "desk", "copy")
    line.json("profile", "set", "copy", "--active", "--memory", "128", "--disk", "tiny@1:sata")
    assert line.json("profile", "diff", "desk", "copy") == [
        {"field": "memory_mib", "one": "64", "other": "128"},
        {"field": "slots", "one": "tiny:virtio", "other": "tiny@1:sata"},
    ]
    rows = line.run("profile", "diff", "desk", "copy").stdout.splitlines()
    assert rows[0].split() == ["FIELD", "DESK", "COPY"]
    assert "are the same" in line.run("profile", "diff", "desk", "desk").stdout


def test_a_home_is_set_cloned_told_and_forgotten(line: Line) -> None:
    home = "nfs://files.lab/homes/%LAB%/%SEAT%"
    assert line.json("profile", "set", "desk", "--home", home)["home"] == home
    assert f"homes on {home}" in line.run("profile", "show", "desk").stdout
    assert line.json("profile", "clone", "desk", "spare")["home"] == home
    for wrong in ("/srv/homes", "nfs://me@files.lab/x", "nfs://files.lab/../x", "smb://files.lab/%WHO%", "smb://files.lab/%USER%"):
        assert line.json("profile", "set", "desk", "--home", wrong, code=2)["error"]["field"] == "home"
    assert line.json("profile", "show", "desk")["home"] == home
    assert line.json("profile", "set", "desk", "--no-home")["home"] is None
    assert line.json("profile", "set", "desk", "--no-home", "--home", home, code=2)["error"]["field"] == "home"
