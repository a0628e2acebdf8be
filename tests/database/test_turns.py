# SPDX-License-Identifier: MIT
"""Writers that wait for one another share a commit: nobody is told before it is durable, and nobody pays for another."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labvirt.database.unit_of_work import SqliteDatabase, SqliteUnitOfWork
from labvirt.errors import DatabaseError
from tests.database.conftest import LAB

PATIENCE_SECONDS = 30


class Crowd:
    """Writers that queue in the order of their names behind one who has the turn."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.ends: dict[str, BaseException | None] = {}
        self._threads: list[threading.Thread] = []

    def join(self, name: str, act: Callable[[SqliteUnitOfWork], None], *, commits: bool = True) -> None:
        def run() -> None:
            try:
                with self.database.write() as work:
                    act(work)
                    if commits:
                        work.commit()
                self.ends[name] = None
            except BaseException as error:  # noqa: BLE001 - told by the main thread
                self.ends[name] = error

        before = len(self.database._turns._queue)
        thread = threading.Thread(target=run, name=name)
        thread.start()
        self._threads.append(thread)
        for _ in range(3000):
            if len(self.database._turns._queue) > before:
                return
            thread.join(0.01)
        raise AssertionError(f"{name} does not queue")

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


def commits(database: SqliteDatabase) -> list[str]:
    """Every COMMIT from now on, as SQLite runs it."""
    seen: list[str] = []
    begin = database._turns._begin

    def watched() -> Any:
        transaction = begin()
        transaction.raw.set_trace_callback(lambda text: seen.append(text) if text == "COMMIT" else None)
        return transaction

    database._turns._begin = watched  # type: ignore[method-assign]
    return seen


def test_a_thread_that_writes_inside_its_own_writing_is_told_at_once(database: SqliteDatabase) -> None:
    with database.write() as outer:
        with pytest.raises(TypeError, match="inside another"), database.write():
            pass
        with database.read() as work:
            assert work.labs.list() == ()
        outer.labs.add(LAB)
        outer.commit()
        with database.write() as second:  # the outer one is over
            second.facts.put("a", "b")
            second.commit()
    with database.write() as work:
        assert work.labs.one("lab-a") == LAB
        assert work.facts.get("a") == "b"


def fact(name: str) -> Callable[[SqliteUnitOfWork], None]:
    return lambda work: work.facts.put(name, "x")


def facts(path: Path, *names: str) -> set[str]:
    """Which of these another process would find."""
    raw = sqlite3.connect(path)
    try:
        return {name for (name,) in raw.execute("SELECT name FROM facts")} & set(names)
    finally:
        raw.close()


def test_those_who_wait_share_one_commit(path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labvirt.database.turns.TOGETHER_SECONDS", PATIENCE_SECONDS)
    seen = commits(database)
    crowd = Crowd(database)
    with database.write() as work:
        for name in ("a", "b", "c"):
            crowd.join(name, fact(name))
        work.facts.put("first", "x")
        work.commit()
        assert facts(path, "first", "a", "b", "c") == {"first", "a", "b", "c"}
    crowd.wait()
    assert crowd.ends == {"a": None, "b": None, "c": None}
    assert seen == ["COMMIT"]
    monkeypatch.setattr("labvirt.database.turns.TOGETHER_SECONDS", -1)
    with database.write() as work:
        crowd.join("late", fact("late"))
        work.commit()
    crowd.wait()
    assert len(seen) == 3, "a transaction that is old enough takes in nobody"


def test_who_leaves_without_commit_takes_back_only_its_own(path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labvirt.database.turns.TOGETHER_SECONDS", PATIENCE_SECONDS)

    def breaks(work: SqliteUnitOfWork) -> None:
        work.facts.put("broken", "x")
        raise ZeroDivisionError

    crowd = Crowd(database)
    with database.write() as work:
        crowd.join("a", fact("a"))
        crowd.join("idle", fact("idle"), commits=False)
        crowd.join("b", fact("b"))
        crowd.join("broken", breaks)
        work.facts.put("first", "x")
        work.commit()
    crowd.wait()
    assert isinstance(crowd.ends.pop("broken"), ZeroDivisionError)
    assert set(crowd.ends.values()) == {None}
    assert facts(path, "first", "a", "b", "idle", "broken") == {"first", "a", "b"}


def test_when_the_shared_commit_fails_everybody_is_told_and_nothing_is_kept(
    path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labvirt.database.turns.TOGETHER_SECONDS", PATIENCE_SECONDS)

    def points_nowhere(work: SqliteUnitOfWork) -> None:
        """The one constraint that is only looked at when it is committed."""
        work._store._open().execute("INSERT INTO images (name, published, note) VALUES ('img', 7, '')")

    crowd = Crowd(database)
    with pytest.raises(DatabaseError), database.write() as work:  # noqa: PT012 - who waits with others is what is tried
        crowd.join("bad", points_nowhere)
        work.facts.put("first", "x")
        work.commit()
    crowd.wait()
    assert isinstance(crowd.ends["bad"], DatabaseError)
    assert facts(path, "first") == set()
    with database.write() as work:
        work.facts.put("first", "x")
        work.commit()
    assert facts(path, "first") == {"first"}


def test_when_sqlite_takes_everything_back_by_itself_nobody_is_told_it_was_kept(
    path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does on a full disk (sqlite.org/lang_transaction.html, 'Response To Errors Within A Transaction')."""
    monkeypatch.setattr("labvirt.database.turns.TOGETHER_SECONDS", PATIENCE_SECONDS)

    def undone(work: SqliteUnitOfWork) -> None:
        work._store._open().execute("ROLLBACK")
        raise ZeroDivisionError

    crowd = Crowd(database)
    with pytest.raises(DatabaseError, match="took both back") as caught, database.write() as work:  # noqa: PT012 - as above
        crowd.join("undone", undone)
        work.facts.put("first", "x")
        work.commit()
    assert caught.value.retryable
    crowd.wait()
    assert isinstance(crowd.ends["undone"], ZeroDivisionError)
    assert facts(path, "first") == set()


def test_nothing_more_can_be_done_after_commit(database: SqliteDatabase) -> None:
    with database.write() as work:
        work.labs.add(LAB)
        assert work.labs.list() == (LAB,)
        work.commit()
        for act in (work.labs.list, work.strangers.list, work.commit):
            with pytest.raises(TypeError):
                act()


def test_what_questions_read_again_and_again_is_never_stale(path: Path, database: SqliteDatabase) -> None:
    """Rows that a connection read before are not read again, until anybody has committed anything."""
    with database.write() as work:
        work.labs.add(LAB)
        work.commit()
    other = SqliteDatabase.open(path)

    def note() -> str:
        with database.read() as work:
            return work.labs.one("lab-a").note

    assert [note(), note()] == [LAB.note, LAB.note]
    for number, through in enumerate((database, other, database, other)):
        with through.write() as work:
            work.labs.update(replace(LAB, note=f"never {number}"))
        assert note() != f"never {number}"
        with through.write() as work:
            work.labs.update(replace(LAB, note=f"note {number}"))
            assert work.labs.one("lab-a").note == f"note {number}"
            work.commit()
        assert note() == f"note {number}"
    with database.read() as reader:
        assert reader.labs.one("lab-a").note == "note 3"
        with other.write() as work:
            work.labs.update(replace(LAB, note="later"))
            work.commit()
        assert reader.labs.one("lab-a").note == "note 3", "one unit of work sees one moment"
    assert note() == "later"
    other.close()
