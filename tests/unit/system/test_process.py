# SPDX-License-Identifier: MIT
"""Programs that end, go on, or will not end; and whose process it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labvirt.system import process
from labvirt.system.privileges import ends_with_parent, without_rights


def test_a_program_is_heard_to_its_end() -> None:
    data = bytes(range(256)) * 4000
    result = process.run(("sh", "-c", "cat; echo first >&2; echo last >&2; exit 3"), timeout=30, input=data)
    assert (result.code, result.ok, result.stdout, result.last_words) == (3, False, data, "last")
    assert process.run(("true",), timeout=30).ok


def test_a_program_that_is_not_there_is_a_result_and_no_accident() -> None:
    result = process.run(("labvirt-no-such-program",), timeout=30)
    assert result.code == 127
    assert "labvirt-no-such-program cannot be started" in result.last_words


def test_a_program_that_does_not_end_is_ended_with_its_children() -> None:
    result = process.run(("sh", "-c", "sleep 3600 & echo $!; wait"), timeout=0.5)
    assert result.timed_out
    assert not result.ok
    child = process.identify(int(result.stdout))
    assert child is None or process.wait_end(child, 30)


def test_a_program_is_ended_when_it_has_said_what_was_waited_for() -> None:
    result = process.run(("sh", "-c", "echo here; sleep 3600"), timeout=60, until=b"here")
    assert (result.code, result.timed_out) == (-signal.SIGKILL, False)
    assert process.run(("sh", "-c", "echo elsewhere"), timeout=60, until=b"nowhere").ok


def test_output_is_bounded() -> None:
    result = process.run(("head", "-c", "1000000", "/dev/zero"), timeout=30, limit=1000)
    assert (result.code, len(result.stdout)) == (0, 1000)


def test_no_word_is_a_shell_line() -> None:
    assert process.run(("echo", "$HOME; exit 1", "`id`"), timeout=30).stdout == b"$HOME; exit 1 `id`\n"


def test_a_detached_program_gets_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    here, there = os.pipe()
    stray = os.dup(here)
    os.set_inheritable(stray, True)
    try:
        log = tmp_path / "log"
        argv = ("sh", "-c", "for n in 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$n && echo has $n; done; echo said >&4; sleep 60")
        started = process.spawn_detached(argv, log=log, descriptors=(here, there))
        assert os.read(here, 100) == b"said\n"
        assert log.read_text() == "has 3\nhas 4\n"
        assert log.stat().st_mode & 0o777 == 0o600
        assert os.getsid(started.pid) == started.pid
        assert started in process.writers_of(log)
        for found in process.writers_of(log):
            process.send_signal(found, signal.SIGKILL)
        assert process.wait_end(started, 30)
        assert not process.is_alive(started)
    finally:
        for each in (here, there, stray):
            os.close(each)


def test_a_detached_program_that_ends_leaves_no_corpse(tmp_path: Path) -> None:
    started = process.spawn_detached(("true",), log=tmp_path / "log")
    assert process.wait_end(started, 30)
    with pytest.raises(OSError, match="No such file"):
        process.spawn_detached(("labvirt-no-such-program",), log=tmp_path / "log")


def test_only_the_very_process_gets_a_signal() -> None:
    with subprocess.Popen(("sleep", "60")) as sleeper:
        known = process.identify(sleeper.pid)
        assert known is not None
        assert process.started_at(known).tzinfo is not None
        recycled = process.ProcessIdentity(boot_id=known.boot_id, pid=known.pid, start_ticks=known.start_ticks + 1)
        before_boot = process.ProcessIdentity(boot_id="another", pid=known.pid, start_ticks=known.start_ticks)
        for stranger in (recycled, before_boot):
            assert not process.send_signal(stranger, signal.SIGKILL)
            assert process.open_pidfd(stranger) is None
        assert sleeper.poll() is None
        assert process.send_signal(known, signal.SIGTERM)
        assert sleeper.wait(30) == -signal.SIGTERM
    assert process.identify(sleeper.pid) is None or process.identify(sleeper.pid) != known


def test_a_child_is_stopped_politely_then_finally() -> None:
    polite = process.Child(("sleep", "60"))
    assert polite.code is None
    assert polite.stop(grace_seconds=30) == -signal.SIGTERM
    polite.close()
    here, there = os.pipe()
    stubborn = process.Child(("sh", "-c", "trap '' TERM; echo ready >&3; while :; do sleep 1; done"), descriptors=(there,))
    assert os.read(here, 100) == b"ready\n"
    assert stubborn.stop(grace_seconds=0.1) == -signal.SIGKILL
    stubborn.close()
    for each in (here, there):
        os.close(each)


def test_a_program_without_rights_has_none(tmp_path: Path) -> None:
    result = process.run((*without_rights(), "cat", "/proc/self/status"), timeout=30)
    status = dict(line.split(":\t", 1) for line in result.stdout.decode().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_a_program_ends_with_its_parent() -> None:
    script = "import sys; from labvirt.system.process import Child; print(Child(sys.argv[1:]).pid, flush=True)"
    result = process.run((sys.executable, "-c", script, *ends_with_parent(), "sleep", "3600"), timeout=60)
    child = process.identify(int(result.stdout))
    assert child is None or process.wait_end(child, 30)
