# SPDX-License-Identifier: MIT
"""Durable settings, one writer at a time, readers that wait for nobody, and nothing half done."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from labvirt.database import trouble, turns
from labvirt.database.connections import SETTINGS, connect
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.domain.addresses import AddressPlan
from labvirt.errors import DatabaseError
from tests.database.conftest import GUEST, LAB, fill

ROOT = Path(__file__).parents[2]


def test_every_connection_has_the_durable_settings(path: Path, database: SqliteDatabase) -> None:
    engine = connect(path)
    with engine.connect() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in SETTINGS}
    engine.dispose()
    assert found == {"busy_timeout": 5000, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_setting_that_is_not_taken_is_refused(path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteDatabase.open(path).close()
    monkeypatch.setitem(SETTINGS, "synchronous", 7)
    with pytest.raises(DatabaseError, match="synchronous"):
        SqliteDatabase.open(path)


def test_leaving_without_commit_changes_nothing(database: SqliteDatabase) -> None:
    with database.write() as work:
        work.labs.add(LAB)
    with database.read() as work:
        assert work.labs.list() == ()
    with pytest.raises(ZeroDivisionError), database.write() as work:  # noqa: PT012 - leaving by an error is what is tried
        work.labs.add(LAB)
        raise ZeroDivisionError
    with database.write() as work:
        work.labs.add(LAB)
        work.commit()
    with database.read() as work:
        assert work.labs.list() == (LAB,)


def test_a_reader_cannot_commit_and_sees_one_moment(database: SqliteDatabase) -> None:
    with database.read() as reader:
        assert reader.labs.list() == ()
        with database.write() as writer:
            writer.labs.add(LAB)
            writer.commit()
        assert reader.labs.list() == ()
        with pytest.raises(TypeError):
            reader.commit()
    with database.read() as reader:
        assert reader.labs.list() == (LAB,)


def test_writers_take_turns_and_lose_nothing(path: Path, database: SqliteDatabase) -> None:
    """Two databases over one file stand for two processes; eight threads each."""
    fill(database)
    other = SqliteDatabase.open(path)
    problems: list[BaseException] = []

    def one(through: SqliteDatabase) -> None:
        try:
            for _ in range(5):
                with through.write() as work:
                    guest = work.guests.one("lab-a-01")
                    work.guests.update(replace(guest, generation=guest.generation + 1))
                    work.commit()
                with through.read() as work:
                    assert work.guests.one("lab-a-01").generation > GUEST.generation
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            problems.append(error)

    threads = [threading.Thread(target=one, args=(each,)) for each in (database, other) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not problems
    with other.read() as work:
        assert work.guests.one("lab-a-01").generation == GUEST.generation + 40
    other.close()


def refused(through: SqliteDatabase) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught, through.write():
        raise AssertionError("two writers at once")
    return caught.value


def test_a_lock_held_too_long_is_said_and_readers_go_on(path: Path, database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BUSY_SECONDS", 0.2)
    monkeypatch.setitem(SETTINGS, "busy_timeout", 200)
    other = SqliteDatabase.open(path)
    with database.write() as holder:
        holder.labs.add(LAB)
        for through in (database, other):
            with ThreadPoolExecutor(1) as another:
                error = another.submit(refused, through).result(60)
            assert "busy" in str(error)
            assert error.retryable
            with through.read() as work:
                assert work.labs.list() == ()
        holder.commit()
    with other.write() as work:
        assert work.labs.list() == (LAB,)
    other.close()


def test_a_killed_writer_leaves_nothing_half_done_and_no_lock(path: Path, database: SqliteDatabase) -> None:
    with database.write() as work:
        work.labs.add(LAB)
        work.commit()
    program = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from labvirt.database.unit_of_work import SqliteDatabase
database = SqliteDatabase.open(Path(sys.argv[1]))
with database.write() as work:
    work.labs.update(replace(work.labs.one("lab-a"), note="half done"))
    if sys.argv[2] == "commit":
        work.commit()
    os.kill(os.getpid(), 9)
"""
    for word, note in (("no", LAB.note), ("commit", "half done")):
        ended = subprocess.run([sys.executable, "-c", program, str(path), word], cwd=ROOT, timeout=60, capture_output=True)
        assert ended.returncode == -9, ended.stderr
        with database.write() as work:
            assert work.labs.one("lab-a").note == note


def test_a_damaged_file_is_said_with_what_to_do(path: Path, database: SqliteDatabase) -> None:
    fill(database)
    with database.write() as work:
        for number in range(200):
            network = AddressPlan(IPv4Network(f"10.{100 + number // 100}.{number % 100}.0/24"))
            work.labs.add(replace(LAB, name=f"lab-b{number}", block=number + 1, network=network, note="x" * 200))
        work.commit()
    database.close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    data = bytearray(path.read_bytes())
    data[4096 : len(data)] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(DatabaseError, match="damaged") as caught:  # noqa: PT012 - wherever it is noticed first
        broken = SqliteDatabase.open(path)
        with broken.read() as work:
            work.labs.list()
    assert "backup" in caught.value.hint
    assert not caught.value.retryable


def test_a_full_disk_and_a_folder_without_rights_have_their_sentences(path: Path) -> None:
    for text, word in (
        ("database or disk is full", "no room"),
        ("attempt to write a readonly database", "for writing"),
        ("database is locked", "busy"),
        ("something new", "something new"),
    ):
        error = trouble.explained(path, sqlite3.OperationalError(text))
        assert word in str(error)
        assert error.hint
