# SPDX-License-Identifier: MIT
"""Check files are run by a real pytest in their sandbox: what it finds becomes steps, and what they may use works."""

from __future__ import annotations

import socket
import threading

from labvirt.contracts.hypervisor import AGENT_SOCKET, SERIAL_SOCKET
from labvirt.errors import HypervisorError
from tests.checks.channels import FakeAgent, serving, tiny_line
from tests.checks.conftest import Room, by_name, png


def test_each_item_is_a_step_that_says_what_was_wrong(room: Room) -> None:
    report = room.run(
        """
import pytest
def test_fine(guest):
    assert (guest.name, guest.address) == ("lab-a-s01", "127.0.0.1")
    print("a word for the log")
def test_wrong():
    assert 1 == 2, "no writer"
@pytest.mark.skip(reason="not today")
def test_later(): ...
@pytest.mark.parametrize("n", [1, 2])
def test_many(n):
    assert n == 1
""",
        "import no_such_module\n",
        "x = 1\n",
    )
    steps = by_name(report)
    assert list(steps) == [
        *("one.py::test_fine", "one.py::test_wrong", "one.py::test_later", "one.py::test_many[1]", "one.py::test_many[2]"),
        *("two.py", "three.py"),
    ]
    assert [step.ok for step in report.steps] == [True, False, True, True, False, False, False]
    assert steps["one.py::test_wrong"].said == "AssertionError: no writer"
    assert steps["one.py::test_later"].said == "skipped: not today"
    assert "no_such_module" in steps["two.py"].said
    assert steps["three.py"].said == "there is no check in it"
    assert "no writer" in report.log


def test_a_missing_file_is_a_step_that_is_not_ok(room: Room) -> None:
    room.trials.put_check("desk", "there.py", "def test_it(): pass\n")
    report = room.trials.run_checks("desk", ("there.py", "gone.py"), room.guest, seconds=30, cancelled=lambda: False)
    assert [(step.name, step.ok) for step in report.steps] == [("check there.py::test_it", True), ("check gone.py", False)]


def test_commands_go_through_the_agent(room: Room) -> None:
    with serving(room.guest.folder / AGENT_SOCKET, FakeAgent().answer) as heard:
        report = room.run(
            """
def test_run(guest):
    done = guest.run("echo out; echo err >&2; exit 3")
    assert (done.code, done.out, done.err, done.ok) == (3, "out\\n", "err\\n", False)
    assert guest.run("printf '%s' 'two\\nlines'").out == "two\\nlines"
"""
        )
    assert [step.said for step in report.steps if not step.ok] == []
    assert any(b"guest-exec-status" in line for line in heard)


def test_without_an_agent_commands_go_over_the_serial_line(room: Room) -> None:
    with serving(room.guest.folder / SERIAL_SOCKET, tiny_line(), greeting=b"LABVIRT GUEST READY name=x\nexit 0\n") as heard:
        report = room.run(
            """
import pytest
def test_run(guest):
    done = guest.run("echo out; echo exit 0; echo err >&2; exit 3")
    assert (done.code, sorted(done.out.split("\\n"))) == (3, ["", "err", "exit 0", "out"])
    done = guest.run("printf abc")
    assert (done.code, done.out) == (0, "abc\\n")
    assert guest.run("true").out == ""
def test_serial(guest):
    assert "READY name=x" in guest.serial
def test_nonsense(guest):
    assert guest.run("( (").code == 2
    with pytest.raises(ValueError, match="one line"):
        guest.run("a\\nb")
    assert guest.run("echo again").out == "again\\n"
"""
        )
    assert [step.said for step in report.steps if not step.ok] == []
    assert b"ping" in heard


def test_an_agent_that_says_nothing_leaves_the_serial_line(room: Room) -> None:
    with serving(room.guest.folder / AGENT_SOCKET, lambda _: None), serving(room.guest.folder / SERIAL_SOCKET, tiny_line()):
        report = room.run(
            """
def test_run(guest):
    assert guest.run("echo hi").out == "hi\\n"
def test_code(guest):
    assert guest.run("exit 4").code == 4
"""
        )
    assert [step.said for step in report.steps if not step.ok] == []


def test_nobody_inside_is_a_clear_failure(room: Room) -> None:
    report = room.run("def test_run(guest):\n    guest.run('true')\n")
    assert not report.steps[0].ok
    assert "nobody inside lab-a-s01 answers" in report.steps[0].said


def test_ports_and_pictures(room: Room) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.socket() as taken:  # bound and not listening: refused
            taken.bind(("127.0.0.1", 0))
            closed = taken.getsockname()[1]
            report = room.run(
                f"""
def test_port(guest):
    assert guest.port({port})
    assert not guest.port({closed})
def test_screen(guest):
    screen = guest.screen()
    assert screen.size == (32, 16)
    assert screen.png[1:4] == b"PNG"
    assert guest.screen().size == (32, 16)
"""
            )
            answers = [room.trials.answers(room.guest.address, each) for each in (port, closed)]
    assert [step.said for step in report.steps if not step.ok] == []
    assert answers == [True, False]


def test_a_screen_that_cannot_be_had_says_why(room: Room) -> None:
    def screenshot() -> bytes:
        raise HypervisorError("It does not run.")

    report = room.run("def test_screen(guest):\n    guest.screen()\n", guest=room.seen_by(screenshot))
    assert "It does not run." in report.steps[0].said
    assert room.run("def test_screen(guest):\n    guest.screen()\n", guest=room.seen_by(png)).steps[0].ok


def test_nothing_is_left_of_the_threads(room: Room) -> None:
    before = {thread.name for thread in threading.enumerate()}
    room.run("def test_screen(guest):\n    guest.screen()\n")
    assert {thread.name for thread in threading.enumerate()} <= before
