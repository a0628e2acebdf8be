# SPDX-License-Identifier: MIT
"""A job is done by exactly one, survives who does it, shows how far it is, and ends when somebody wants it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from labvirt.domain.job import ATTEMPTS, Job, JobKind, JobState
from labvirt.errors import Cancelled, Conflict, DiskError, NotFound
from labvirt.usecases import deeds, jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Interrupted, Task
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngineLink
from tests.fakes.ports import ports_in

ROOT = Path(__file__).parents[3]
PATIENCE = 60
Deed = Callable[[Ports, Task], Mapping[str, str]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ports(tmp_path: Path, clock: FakeClock) -> Iterator[Ports]:
    made = ports_in(tmp_path, clock=clock)
    yield made
    made.database.close()


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Deed], None]:
    """What every kind of job does from now on."""
    return lambda deed: monkeypatch.setattr(jobs, "deed_of", lambda kind: deed)


def ask(ports: Ports, subject: str = "tiny") -> int:
    return jobs.enqueue(ports, JobKind.SCRUB, subject, by="teacher", arguments={"version": "3"}).number


def said(ports: Ports, number: int) -> list[str]:
    return [line for _, line in jobs.lines(ports, number)]


def test_a_job_is_asked_for_done_and_told(ports: Ports, clock: FakeClock, does: Callable[[Deed], None]) -> None:
    def deed(ports: Ports, task: Task) -> dict[str, str]:
        assert jobs.one(ports, task.job.number).state is JobState.RUNNING
        task.step("reading", total=10, unit="bytes")
        assert jobs.one(ports, task.job.number).step == "reading"
        clock.go(2)
        task.say("all\nwell \x1b[2J")
        return {"version": task.job.arguments["version"]}

    does(deed)
    number = ask(ports)
    assert isinstance(ports.engine, FakeEngineLink)
    assert ports.engine.pokes == 1
    assert jobs.unfinished(ports) == (number,)
    job = jobs.run(ports, number)
    assert job == jobs.one(ports, number)
    assert job is not None
    assert (job.state, job.attempts, dict(job.result), job.error) == (JobState.DONE, 1, {"version": "3"}, None)
    assert job.started_at is not None
    assert job.ended_at is not None
    assert (job.ended_at - job.started_at).total_seconds() == 2
    assert said(ports, number) == ["reading", "all well [2J", "done"]
    assert jobs.unfinished(ports) == ()
    assert jobs.run(ports, number) == job, "a job that has ended is not done again"
    assert list(jobs.everything(ports)) == [job]
    for look in (jobs.one, jobs.lines, jobs.run):
        with pytest.raises(NotFound, match=r"job .*'99'"):
            look(ports, 99)


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (DiskError("The disk is full.", hint="Make room."), "disk", "The disk is full."),
        (RuntimeError("secret detail"), "error", "A mistake of the program (the log has it)."),
    ],
)
def test_errors_become_words(
    ports: Ports, does: Callable[[Deed], None], caplog: pytest.LogCaptureFixture, error: Exception, code: str, sentence: str
) -> None:
    def deed(ports: Ports, task: Task) -> dict[str, str]:
        raise error

    does(deed)
    job = jobs.run(ports, ask(ports))
    assert job is not None
    assert job.error is not None
    assert (job.state, job.error.code, job.error.sentence) == (JobState.FAILED, code, sentence)
    assert job.error.hint
    traces = [record for record in caplog.records if record.exc_info]
    assert bool(traces) == isinstance(error, RuntimeError)
    assert "secret detail" not in str(job)


def test_progress_is_written_once_a_second_and_the_last_is_never_lost(
    ports: Ports, clock: FakeClock, does: Callable[[Deed], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, int]] = []

    def row(number: int) -> int:
        return jobs.one(ports, number).done

    def deed(ports: Ports, task: Task) -> dict[str, str]:
        number = task.job.number
        task.step("copying", total=100, unit="bytes")
        for done in range(1, 51):
            task.progress(done, 100)
            shown.append((done, row(number)))
            clock.go(0.1)
        task.flush()
        shown.append((50, row(number)))
        task.progress(100, 100)
        shown.append((100, row(number)))
        task.step("counting")
        task.progress(7, 9)
        assert (row(number), jobs.one(ports, number).unit) == (7, "bytes")
        task.progress(8, 9)
        assert row(number) == 7
        return {}

    does(deed)
    job = jobs.run(ports, ask(ports))
    assert job is not None
    assert job.state is JobState.DONE, job.error
    written = sorted({row for _, row in shown})
    assert written == [0, 11, 21, 31, 41, 50, 100]
    assert (job.done, job.total) == (8, 9)


def test_a_queued_job_is_cancelled_at_once_and_an_ended_one_not(ports: Ports, does: Callable[[Deed], None]) -> None:
    does(lambda ports, task: {})
    number = ask(ports)
    job = jobs.cancel(ports, number, by="boss")
    assert (job.state, job.cancel) == (JobState.CANCELLED, True)
    assert job.error is not None
    assert job.error.code == "cancelled"
    assert jobs.cancel(ports, number, by="boss") == job
    assert jobs.run(ports, number) == job
    assert said(ports, number) == ["cancelled by boss"]
    done = jobs.run(ports, ask(ports))
    assert done is not None
    with pytest.raises(Conflict, match="is done"):
        jobs.cancel(ports, done.number, by="boss")


def in_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[Any]]:
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(act()))
    thread.start()
    return thread, given


def asleep(ports: Ports, task: Task) -> None:
    task.sleep(600)


def copying(ports: Ports, task: Task) -> None:
    pause = threading.Event()
    for done in range(600_000):
        ports.clock.go(0.05)  # type: ignore[attr-defined]
        task.progress(done, 600_000)
        pause.wait(0.001)


@pytest.mark.parametrize("act", [asleep, copying])
def test_a_running_job_is_cancelled_where_it_is(ports: Ports, does: Callable[[Deed], None], act: Callable[[Ports, Task], None]) -> None:
    cleaned = threading.Event()
    begun = threading.Event()

    def deed(ports: Ports, task: Task) -> dict[str, str]:
        task.step("long")
        begun.set()
        try:
            act(ports, task)
        except Cancelled:
            cleaned.set()
            raise
        return {}

    does(deed)
    number = ask(ports)
    thread, given = in_thread(lambda: jobs.run(ports, number))
    assert begun.wait(PATIENCE)
    assert jobs.cancel(ports, number, by="boss").state is JobState.RUNNING
    thread.join(PATIENCE)
    assert given
    assert given[0].state is JobState.CANCELLED
    assert cleaned.is_set()
    assert jobs.one(ports, number).cancel
    assert said(ports, number)[:2] == ["long", "cancelled by boss"]


def test_a_step_is_not_begun_when_cancelled_and_the_shield_holds(ports: Ports, does: Callable[[Deed], None]) -> None:
    def deed(ports: Ports, task: Task) -> dict[str, str]:
        with task.shield():
            jobs.cancel(ports, task.job.number, by="boss")
            task.step("last steps")
            with task.shield():
                task.progress(1, 2)
            task.sleep(0)
            task.check()
        with pytest.raises(Cancelled):
            task.step("too much")
        assert jobs.one(ports, task.job.number).step == "last steps"
        assert jobs.one(ports, task.job.number).cancel, "writing does not forget the wish"
        return {"kept": "all"}

    does(deed)
    job = jobs.run(ports, ask(ports))
    assert job is not None
    assert (job.state, dict(job.result)) == (JobState.DONE, {"kept": "all"}), job.error


def test_an_interrupted_job_stays_and_does_not_count(ports: Ports, does: Callable[[Deed], None]) -> None:
    stop = threading.Event()

    def deed(ports: Ports, task: Task) -> dict[str, str]:
        task.step("long")
        if task.job.arguments["version"] == "3" and not stop.is_set():
            stop.set()
            with task.shield():
                task.sleep(600)
        with pytest.raises(Interrupted):
            task.progress(5, 10)
        raise Interrupted

    does(deed)
    number = ask(ports)
    for _ in range(ATTEMPTS + 2):
        stop.clear()
        job = jobs.run(ports, number, stopping=stop.is_set)
        assert job is not None
        assert (job.state, job.attempts) == (JobState.RUNNING, 0)
    assert jobs.unfinished(ports) == (number,)
    does(lambda ports, task: {})
    done = jobs.run(ports, number)
    assert done is not None
    assert done.state is JobState.DONE


def test_done_together_with_what_was_done(ports: Ports, does: Callable[[Deed], None]) -> None:
    """The last transaction of a deed ends the job too: neither without the other, and nothing later changes it."""

    def deed(ports: Ports, task: Task) -> dict[str, str]:
        with ports.database.write() as work:
            work.facts.put("moved", "yes")
            task.done_in(work, {"version": "4"})
        assert jobs.one(ports, task.job.number).state is JobState.RUNNING, "left without commit"
        with ports.database.write() as work:
            work.facts.put("moved", "yes")
            task.say("moved", work)
            task.done_in(work, {"version": "4"})
            work.commit()
        raise RuntimeError("after the end")

    does(deed)
    job = jobs.run(ports, ask(ports))
    assert job is not None
    assert (job.state, dict(job.result)) == (JobState.DONE, {"version": "4"})
    with ports.database.read() as work:
        assert work.facts.get("moved") == "yes"
    assert said(ports, job.number) == ["moved"]


def test_whoever_waits_hears_each_change(ports: Ports, does: Callable[[Deed], None]) -> None:
    heard: list[Job] = []
    go = threading.Event()

    def deed(ports: Ports, task: Task) -> dict[str, str]:
        task.step("one")
        assert go.wait(PATIENCE)
        return {}

    def told(job: Job) -> None:
        heard.append(job)
        if job.step == "one":
            go.set()

    does(deed)
    number = ask(ports)
    thread, _ = in_thread(lambda: jobs.run(ports, number))
    job = jobs.wait(ports, number, told, pause=0.01)
    thread.join(PATIENCE)
    assert heard[-1] == job == jobs.one(ports, number)
    assert job.state is JobState.DONE
    assert all(before != after for before, after in pairwise(heard))


def test_two_threads_race_and_one_does_it(ports: Ports, does: Callable[[Deed], None]) -> None:
    did: list[int] = []
    everybody = threading.Barrier(8)

    def deed(ports: Ports, task: Task) -> dict[str, str]:
        did.append(task.job.number)
        task.sleep(0.05)
        return {}

    def one(number: int) -> Job | None:
        everybody.wait(PATIENCE)
        return jobs.run(ports, number)

    does(deed)
    number = ask(ports)
    runners = [in_thread(lambda: one(number)) for _ in range(8)]
    for thread, _ in runners:
        thread.join(PATIENCE)
    assert did == [number]
    answers = [given[0] for _, given in runners]
    assert [job.state for job in answers if job is not None] != []
    assert all(job.state is JobState.DONE for job in answers if job is not None)
    assert jobs.one(ports, number).attempts == 1


def worker(state: Path, number: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.unit.usecases.worker", str(state), str(number)]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_processes_race_and_one_does_it(tmp_path: Path, ports: Ports) -> None:
    number = ask(ports)
    both = [worker(tmp_path, number) for _ in range(2)]
    words = [process.communicate(timeout=PATIENCE)[0].strip() for process in both]
    assert "done" in words
    assert set(words) <= {"done", "somebody else"}
    assert len((tmp_path / "deed.txt").read_text().splitlines()) == 1


def test_a_job_whose_process_is_killed_is_begun_again(tmp_path: Path, ports: Ports, does: Callable[[Deed], None]) -> None:
    number = ask(ports, "hang")
    process = worker(tmp_path, number)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        assert jobs.run(ports, number) is None, "somebody does it"
        assert jobs.one(ports, number).state is JobState.RUNNING
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    assert (jobs.one(ports, number).state, jobs.unfinished(ports)) == (JobState.RUNNING, (number,))
    does(lambda ports, task: {"attempt": str(task.job.attempts)})
    job = jobs.run(ports, number)
    assert job is not None
    assert (job.state, dict(job.result)) == (JobState.DONE, {"attempt": "2"})
    assert said(ports, number) == ["the first half", "begun again (attempt 2)", "done"]


def test_a_job_that_kills_its_process_each_time_is_given_up(tmp_path: Path, ports: Ports) -> None:
    number = ask(ports, "die")
    for _ in range(ATTEMPTS):
        process = worker(tmp_path, number)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL
    process = worker(tmp_path, number)
    assert process.communicate(timeout=PATIENCE)[0] == "failed\n"
    job = jobs.one(ports, number)
    assert job.error is not None
    assert f"{ATTEMPTS} times" in job.error.sentence
    assert len((tmp_path / "deed.txt").read_text().splitlines()) == ATTEMPTS
    well = ask(ports, "well")
    assert worker(tmp_path, well).communicate(timeout=PATIENCE)[0] == "done\n"


def test_a_cancelled_job_whose_process_died_is_cleaned_up_by_its_deed(tmp_path: Path, ports: Ports, does: Callable[[Deed], None]) -> None:
    number = ask(ports, "hang")
    process = worker(tmp_path, number)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert jobs.cancel(ports, number, by="boss").state is JobState.RUNNING
    cleaned: list[int] = []

    def deed(ports: Ports, task: Task) -> dict[str, str]:
        try:
            task.step("again")
        except Cancelled:
            cleaned.append(task.job.attempts)
            raise
        return {}

    does(deed)
    job = jobs.run(ports, number)
    assert job is not None
    assert job.state is JobState.CANCELLED
    assert cleaned == [2]


def test_old_ended_jobs_are_forgotten_and_unended_ones_never(
    ports: Ports, does: Callable[[Deed], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "KEPT", 3)
    does(lambda ports, task: {})
    waiting = ask(ports)
    ended = []
    for _ in range(jobs.TRIM_EVERY * 2 - 2):
        ended.append(ask(ports))
        jobs.run(ports, ended[-1])
    last = ask(ports)
    assert last % jobs.TRIM_EVERY == 0
    assert [job.number for job in jobs.everything(ports)] == [last, *reversed(ended[-3:]), waiting]


def test_every_kind_of_job_has_its_deed() -> None:
    assert set(deeds.DEEDS) == set(JobKind)
    assert len(set(deeds.DEEDS.values())) == len(JobKind)
