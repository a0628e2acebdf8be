# SPDX-License-Identifier: MIT
"""The audit in the database: one chain whoever writes, nothing changed or removed, a cut that leaves it whole."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.domain.audit import Broken, Chain, Entry, Outcome, Wanted
from labvirt.domain.caller import CallerKind
from tests.database.conftest import NOW

ROOT = Path(__file__).parents[2]

REST = 'kind, address, verb, noun, subject, lab, what, "before", "after", outcome, times, seal'

ENTRY = Entry(at=NOW, who="anna", kind=CallerKind.PERSON, verb="change", noun="lab", subject="lab-a", what="changed", lab="lab-a")


def write(database: SqliteDatabase, *entries: Entry) -> tuple[Entry, ...]:
    with database.write() as work:
        added = tuple(work.audit.add(each) for each in entries)
        work.commit()
    return added


def broken(database: SqliteDatabase) -> Broken | None:
    with database.read() as work:
        chain = Chain(work.audit.stump())
        return next((found for each in work.audit.after(chain.number, 100_000) if (found := chain.step(each))), None)


def many(count: int) -> tuple[Entry, ...]:
    return tuple(replace(ENTRY, subject="a" if number % 2 else "b", what=str(number)) for number in range(count))


def test_entries_come_back_as_they_were_sealed(database: SqliteDatabase) -> None:
    told = replace(ENTRY, before={"note": "old"}, after={"note": "né", "seats": 3}, address="10.77.0.9", outcome=Outcome.REFUSED, times=7)
    first, second = write(database, told, ENTRY)
    with database.read() as work:
        assert work.audit.last(9) == (second, first)
        assert work.audit.last(9, "lab-b") == ()
        assert work.audit.get(1) == first
        assert work.audit.find(Wanted(outcome=Outcome.REFUSED), 9) == (first,)
        assert work.audit.find(Wanted(), 9, before=2) == (first,)
        assert work.audit.find(Wanted(labs=frozenset({"lab-b"})), 9) == ()
        assert work.audit.find(Wanted(since=NOW, until=NOW + timedelta(seconds=1), who="anna", verb="change"), 9) == (second, first)
        assert work.audit.find(Wanted(until=NOW), 9) == ()
        assert work.audit.verbs() == ("change",)
    assert broken(database) is None


def test_what_is_taken_back_leaves_no_gap(database: SqliteDatabase) -> None:
    with database.write() as work:
        work.audit.add(ENTRY)
    (kept,) = write(database, ENTRY)
    assert kept.number == 1
    assert broken(database) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'nobody' WHERE number = 2",
        "DELETE FROM audit WHERE number = 2",
        "DELETE FROM audit",
        f"INSERT OR REPLACE INTO audit SELECT 2, at, 'nobody', {REST} FROM audit WHERE number = 2",  # noqa: S608 - no text from outside
        "INSERT INTO audit_stumps VALUES (2, 'a seal that it does not have', 'x')",
        "INSERT INTO audit_stumps SELECT number, seal, at FROM audit WHERE number = 3",
    ],
)
def test_the_database_refuses_what_is_not_appending(path: Path, database: SqliteDatabase, statement: str) -> None:
    write(database, *many(3))
    with closing(sqlite3.connect(path)) as raw:
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|stump"):
            raw.execute(statement)
        raw.rollback()
        assert raw.execute("SELECT count(*) FROM audit").fetchone() == (3,)
        for name in [name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")]:
            raw.execute(f"DROP TRIGGER {name}")
        assert raw.execute(statement).rowcount > 0  # it was the triggers that refused
        raw.rollback()
    assert broken(database) is None


@pytest.mark.parametrize(
    "statement, number",
    [
        ("UPDATE audit SET who = 'somebody else' WHERE number = 5", 5),
        ("""UPDATE audit SET before = '{"a":1}' WHERE number = 9""", 9),
        ("UPDATE audit SET outcome = 'failed' WHERE number = 1", 1),
        ("UPDATE audit SET lab = NULL WHERE number = 4", 4),
        ("DELETE FROM audit WHERE number = 7", 7),
        ("UPDATE audit SET seal = (SELECT seal FROM audit WHERE number = 2) WHERE number = 3", 3),
    ],
)
def test_who_forges_the_file_is_found(path: Path, database: SqliteDatabase, statement: str, number: int) -> None:
    write(database, *many(10))
    assert broken(database) is None
    with closing(sqlite3.connect(path)) as raw:
        for name in [name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")]:
            raw.execute(f"DROP TRIGGER {name}")
        assert raw.execute(statement).rowcount == 1
        raw.commit()
    found = broken(database)
    assert found is not None
    assert found.number == number


def test_the_cut_leaves_a_stump_from_which_the_chain_goes_on(path: Path, database: SqliteDatabase) -> None:
    old = [replace(each, at=NOW - timedelta(days=400)) for each in many(30)]
    write(database, *old, *many(5))
    year_ago = NOW - timedelta(days=365)
    with database.write() as work:
        assert work.audit.old(NOW - timedelta(days=500), 1000) == 0
        assert work.audit.old(NOW - timedelta(days=500), 7) == 28
        up_to = work.audit.old(year_ago, 1000)
        assert up_to == 30
        work.audit.cut(up_to, NOW)
        work.commit()
    with closing(sqlite3.connect(path)) as raw, pytest.raises(sqlite3.IntegrityError):
        raw.execute("DELETE FROM audit WHERE number = 31")
    assert broken(database) is None
    with database.write() as work:
        assert work.audit.sweep(20) == 20
        assert work.audit.sweep(20) == 10
        assert work.audit.sweep(20) == 0
        assert work.audit.old(year_ago, 1000) == 0
        work.commit()
    assert [each.number for each in write(database, ENTRY)] == [36]
    assert broken(database) is None
    with closing(sqlite3.connect(path)) as raw:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute(f"INSERT INTO audit SELECT 30, at, who, {REST} FROM audit WHERE number = 31")  # noqa: S608 - no text from outside
        for statement in ("DELETE FROM audit_stumps", "UPDATE audit_stumps SET seal = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                raw.execute(statement)


def test_the_newest_entry_is_never_cut(database: SqliteDatabase) -> None:
    write(database, *(replace(each, at=NOW - timedelta(days=400)) for each in many(3)))
    with database.read() as work:
        assert work.audit.old(NOW, 1000) == 2


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from labvirt.database.unit_of_work import SqliteDatabase
from tests.database.test_audit import ENTRY
import threading
database = SqliteDatabase.open(Path(sys.argv[1]))
def some(name):
    for number in range(int(sys.argv[3])):
        with database.write() as work:
            work.audit.add(replace(ENTRY, who=name, what=str(number)))
            if number % 5:  # some change their mind
                work.commit()
threads = [threading.Thread(target=some, args=(f"{sys.argv[2]}{each}",)) for each in range(3)]
for each in threads: each.start()
for each in threads: each.join()
database.close()
"""


def test_writers_of_several_processes_make_one_chain(path: Path, database: SqliteDatabase) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, "40"], cwd=ROOT, stderr=subprocess.PIPE)
        for name in ("web", "engine")
    ]
    for each in processes:
        _, said = each.communicate(timeout=120)
        assert each.returncode == 0, said
    with database.read() as work:
        entries = work.audit.after(0, 10_000)
    assert len(entries) == 2 * 3 * 32
    assert {each.who for each in entries} == {f"{name}{number}" for name in ("web", "engine") for number in range(3)}
    assert broken(database) is None


def test_a_text_cannot_break_its_line(database: SqliteDatabase) -> None:
    evil = "a\nb\r\x1b[2J\u2028\u202ec\x00"
    (told,) = write(
        database, replace(ENTRY, who=evil, subject=evil, what=evil * 200, address=evil, verb=evil, before={evil: evil}, lab=evil)
    )
    texts = (told.who, told.subject, told.what, told.address, told.verb, told.lab or "", *told.before, *told.before.values())
    assert all(text.isprintable() for text in texts)
    assert "a b" in told.who
    assert len(told.what) == 400
    assert broken(database) is None
