# SPDX-License-Identifier: MIT
"""Long commands: they wait and show how far it is, leave when they are told to, and end as their job ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from fcntl import ioctl
from pathlib import Path

import pytest

from labvirt.domain.job import Job, JobKind, JobState
from labvirt.errors import Cancelled, Conflict, EngineAway, HostNotReady
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task
from tests.cli.conftest import Line

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
Does = Callable[[Callable[[Ports, Task], Mapping[str, str]]], None]


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Does:
    """What every kind of job does from now on."""
    return lambda deed: monkeypatch.setattr(jobs, "deed_of", lambda kind: deed)


def test_a_long_command_waits_and_shows_its_job(line: Line, does: Does) -> None:
    def deed(ports: Ports, task: Task) -> Mapping[str, str]:
        task.step("looking")
        line.clock.go(3)
        task.say("well \x1b[2J")
        return {"versions": "1", "bytes": "7"}

    does(deed)
    for away in (False, True):  # done by the engine; done by the command itself
        line.engine.away = away
        told = line.json("image", "scrub", "tiny")
        assert (told["kind"], told["subject"], told["state"], told["ended"]) == ("scrub", "tiny", "done", True)
        assert (told["result"], told["error"], told["rate"]) == ({"versions": "1", "bytes": "7"}, None, None)
        result = line.run("image", "scrub", "tiny")
        assert result.stdout == "Every byte is as it should be.\n"
    shown = line.json("job", "show", str(told["number"]))
    assert [each["line"] for each in shown["log"]] == ["looking", "well [2J", "done"]
    assert shown["asked_by"]
    text = line.run("job", "show", str(told["number"])).stdout
    assert text.startswith(f"job {told['number']}: scrub tiny, done\n")
    assert "made: bytes 7" in text
    assert line.json("job", "wait", str(told["number"]))["state"] == "done"


def test_a_detached_job_waits_for_an_engine_or_for_somebody_who_waits_for_it(line: Line, does: Does) -> None:
    does(lambda ports, task: {})
    line.does_jobs = False
    told = line.json("image", "scrub", "tiny", "--detach")
    number = str(told["number"])
    assert (told["state"], told["ended"]) == ("queued", False)
    assert f"labvirt job wait {number}" in line.run("image", "scrub", "tiny", "--detach").stdout
    (listed,) = line.json("job", "list")
    assert listed["number"] == told["number"]
    assert line.json("overview")["jobs"][0]["number"] == told["number"]
    assert line.json("host", "show")["jobs"][0]["number"] == told["number"]
    assert "waits for its turn" in line.run("job", "list").stdout
    line.engine.away = True
    assert line.json("job", "wait", number)["state"] == "done"
    assert line.json("job", "list") == []
    assert "labvirt job list --all" in line.run("job", "list").stdout
    assert [each["state"] for each in line.json("job", "list", "--all")] == ["done", "done"]  # and the import of the site


@pytest.mark.parametrize(
    "error, code, name",
    [
        (Conflict("It is red.", hint="Mend it."), 1, "conflict"),
        (HostNotReady("qemu-img is missing."), 3, "host-not-ready"),
        (EngineAway(), 3, "engine-away"),
        (Cancelled("x"), 1, "cancelled"),
    ],
)
def test_a_failed_job_ends_the_command_like_its_error(line: Line, does: Does, error: Exception, code: int, name: str) -> None:
    def deed(ports: Ports, task: Task) -> Mapping[str, str]:
        raise error

    does(deed)
    line.engine.away = True
    told = line.json("image", "scrub", "tiny", code=code)["error"]
    assert (told["code"], told["exit_code"]) == (name, code)
    assert isinstance(told["job"], int)
    result = line.run("job", "wait", str(told["job"]))
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"labvirt: {told['sentence']}\n  ")
    does(lambda ports, task: {})
    assert line.json("image", "scrub", "tiny")["state"] == "done"  # positive control


def test_a_mistake_within_a_job_is_a_sentence_and_its_trace_is_in_the_log(line: Line, does: Does) -> None:
    def deed(ports: Ports, task: Task) -> Mapping[str, str]:
        raise ZeroDivisionError("secret detail")

    does(deed)
    line.engine.away = True
    result = line.run("image", "scrub", "tiny")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "secret detail" in (line.state / "logs" / "command.log").read_text()


def test_a_job_is_cancelled(line: Line, does: Does) -> None:
    does(lambda ports, task: {})
    line.does_jobs = False
    number = str(line.json("image", "scrub", "tiny", "--detach")["number"])
    assert line.json("job", "cancel", number)["state"] == "cancelled"
    error = line.json("job", "wait", number, code=1)["error"]
    assert (error["code"], error["job"]) == ("cancelled", int(number))
    assert "failed" not in line.run("job", "show", number).stdout
    line.does_jobs = True
    number = str(line.json("image", "scrub", "tiny")["number"])
    assert line.json("job", "cancel", number, code=1)["error"]["code"] == "conflict"
    assert line.json("job", "show", "4711", code=1)["error"]["code"] == "not-found"


def test_who_leaves_while_the_engine_works_hears_where_the_job_is(line: Line, does: Does, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(self: object, seconds: float) -> None:
        raise KeyboardInterrupt

    does(lambda ports, task: {})
    line.does_jobs = False
    monkeypatch.setattr("labvirt.cli.progress._Doer.pause", leave)
    result = line.run("image", "scrub", "tiny", "--json")
    assert (result.exit_code, result.stdout) == (130, "")
    number = line.json("job", "list")[0]["number"]
    assert result.stderr.splitlines()[1:] == [
        f"The job {number} goes on without you.",
        f"Look at it: labvirt job show {number}",
        f"End it: labvirt job cancel {number}",
    ]


def test_a_job_whose_engine_goes_away_is_taken_over(line: Line, does: Does, monkeypatch: pytest.MonkeyPatch) -> None:
    from labvirt.cli.progress import _Doer

    pause = _Doer.pause

    def away(self: _Doer, seconds: float) -> None:
        line.engine.away = True
        pause(self, seconds)

    does(lambda ports, task: {"versions": "1"})
    line.does_jobs = False
    monkeypatch.setattr(_Doer, "pause", away)
    monkeypatch.setattr(_Doer, "BACK_SECONDS", 0.0)
    assert line.json("image", "scrub", "tiny")["state"] == "done"


def words(state: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.cli.slow", str(state), *more]


class Terminal:
    """A command in front of a person: 80 columns, what was seen so far, and a keyboard."""

    def __init__(self, state: Path, *more: str) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ.update(TERM="xterm", COLUMNS="80")
            os.execv(sys.executable, words(state, *more))  # noqa: S606 - our own program
        ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.seen = ""

    def until(self, text: str) -> None:
        """`text` was seen; or the command ended (text '')."""
        deadline = time.monotonic() + PATIENCE
        while not text or text not in self.plain:
            assert time.monotonic() < deadline, self.plain
            if select.select([self.descriptor], [], [], 0.1)[0]:
                try:
                    data = os.read(self.descriptor, 65536)
                except OSError:  # EIO: the other end is closed
                    data = b""
                if not data:
                    assert not text, self.plain
                    return
                self.seen += data.decode(errors="replace")

    @property
    def plain(self) -> str:
        """Without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen).replace("\r", "\n")

    def end(self) -> int:
        self.until("")
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_on_a_terminal_there_is_a_bar_of_the_step_and_lines_of_those_before(line: Line) -> None:
    terminal = Terminal(line.state, "image", "scrub", "tiny")
    try:
        terminal.until("50 MiB of 100 MiB")
        (line.state / "go").touch()
    finally:
        code = terminal.end()
    rows = [row.rstrip() for row in terminal.plain.splitlines() if row.strip()]
    assert code == 0
    assert rows[0] == "scrub tiny (job 2)"
    assert any(re.match(r"  first of all.{0,8}: \d+ s$", row) for row in rows)
    assert any(re.match(r"  reading +━+.* 50 MiB of 100 MiB", row) for row in rows)
    assert any(re.match(r"  reading: \d+ s, 100 MiB$", row) for row in rows)
    assert rows[-1] == "Every byte is as it should be."
    assert max(map(len, rows)) <= 80
    assert "\x1b[2J" not in terminal.seen  # a step's words do not clear the screen
    assert terminal.seen.count("\x1b[?25h") == 1  # the cursor is there again


def test_ctrl_c_leaves_a_job_that_is_taken_up_again(line: Line) -> None:
    terminal = Terminal(line.state, "image", "scrub", "tiny")
    terminal.until("50 MiB of 100 MiB")
    os.write(terminal.descriptor, b"\x03")
    assert terminal.end() == 130
    assert "The job 2 stops here, and nothing is lost." in terminal.plain
    assert "labvirt job wait 2" in terminal.plain
    assert "labvirt job cancel 2" in terminal.plain
    assert "\x1b[?25h" in terminal.seen
    with line.ports() as ports:
        left = jobs.one(ports, 2)
    assert (left.state, left.attempts) == (JobState.RUNNING, 0)
    (line.state / "go").touch()
    done = subprocess.run(words(line.state, "job", "wait", "2", "--json"), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["state"] == "done"


def test_without_a_terminal_there_are_plain_lines_and_with_json_nothing_but_the_document(line: Line) -> None:
    (line.state / "go").touch()
    plain = subprocess.run(words(line.state, "image", "scrub"), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (plain.returncode, plain.stdout) == (0, "Every byte is as it should be.\n")
    assert all(row.startswith("scrub all images (job 2): ") for row in plain.stderr.splitlines())
    assert "\x1b" not in plain.stderr
    machine = subprocess.run(words(line.state, "image", "scrub", "--json"), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (machine.returncode, machine.stderr) == (0, "")
    assert json.loads(machine.stdout)["kind"] == JobKind.SCRUB


def test_a_command_that_is_ended_from_outside_while_it_works_leaves_its_job(line: Line) -> None:
    process = subprocess.Popen(words(line.state, "image", "scrub", "tiny"), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "first of all" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    with line.ports() as ports:
        job: Job = jobs.one(ports, 2)
    assert job.state is JobState.RUNNING
