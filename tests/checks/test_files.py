# SPDX-License-Identifier: MIT
"""Check files and pictures in their folders: whole or absent, and no name leads elsewhere. Serial lines are overheard, not disturbed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import SERIAL_SOCKET
from labvirt.errors import InvalidInput, NotFound
from tests.checks.channels import serving
from tests.checks.conftest import Room, png

GOOD = "def test_it(guest):\n    assert guest.port(22)\n"


def test_a_check_is_kept_replaced_copied_and_removed(room: Room) -> None:
    room.trials.put_check("desk", "office.py", GOOD)
    assert room.trials.get_check("desk", "office.py") == GOOD
    room.trials.put_check("desk", "office.py", GOOD + "# newer\n")
    room.trials.copy_checks("desk", "desk-two")
    room.trials.remove_check("desk", "office.py")
    room.trials.remove_check("desk", "office.py")
    with pytest.raises(NotFound):
        room.trials.get_check("desk", "office.py")
    assert room.trials.get_check("desk-two", "office.py") == GOOD + "# newer\n"
    room.trials.copy_checks("nothing-there", "desk")
    assert sorted(path.name for path in room.checks.rglob("*.py")) == ["office.py"]
    assert (room.checks / "desk-two").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "profile, name",
    [
        *(("desk", name) for name in ("../x.py", "x", "X.py", ".py", "a/b.py", "conftest.py", "a.py\n", "a.pyc", "é.py", "")),
        *((profile, "a.py") for profile in ("..", "a/b", "", "Desk", "a" * 33)),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(room: Room, profile: str, name: str) -> None:
    with pytest.raises(InvalidInput):
        room.trials.put_check(profile, name, GOOD)
    room.trials.put_check("desk", "fine.py", GOOD)
    assert [path.name for path in room.checks.rglob("*") if path.is_file()] == ["fine.py"]


INDENTED = "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 150))


@pytest.mark.parametrize(
    "text",
    ["def test(:\n", "x = 1\n" * 60000, "\0", "(" * 300, "-" * 200000 + "1", "\ud800", INDENTED],
    ids=["syntax", "long", "nul", "parentheses", "deep", "surrogate", "indent"],
)
def test_what_is_not_python_is_refused_and_the_old_one_stands(room: Room, text: str) -> None:
    room.trials.put_check("desk", "office.py", GOOD)
    with pytest.raises(InvalidInput):
        room.trials.put_check("desk", "office.py", text)
    assert room.trials.get_check("desk", "office.py") == GOOD


def test_pictures(room: Room) -> None:
    room.trials.keep_picture("tiny.v3.png", png())
    assert room.trials.picture("tiny.v3.png") == png()
    with pytest.raises(NotFound):
        room.trials.picture("tiny.v4.png")
    for name in ("../a.png", "a..png", "a.jpg", "/a.png", ".png"):
        with pytest.raises(InvalidInput):
            room.trials.keep_picture(name, png())


def test_a_serial_line_is_overheard_from_the_moment_it_is_there(room: Room) -> None:
    there = threading.Event()

    def folder() -> Path | None:
        return room.guest.folder if there.is_set() else None

    with serving(room.guest.folder / SERIAL_SOCKET, lambda _: None, greeting=b"x" * 20000 + b"\r\nboot\x1b[0m \xff done\n") as heard:
        with room.trials.overhear(folder) as said:
            assert said() == ""
            there.set()
            for _ in range(100):
                if "done" in said():
                    break
                threading.Event().wait(0.05)
            text = said()
        assert text.endswith("\nboot[0m \ufffd done\n")
        assert len(text) <= 16 << 10
        assert heard == []
    with room.trials.overhear(lambda: Path("/nonexistent")) as nothing:
        assert nothing() == ""
