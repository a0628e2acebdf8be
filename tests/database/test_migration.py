# SPDX-License-Identifier: MIT
"""New, older, newer, foreign, damaged: what happens to a file that lies where the database should be."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from labvirt.database import migrate
from labvirt.database.connections import connect
from labvirt.database.tables import metadata
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.errors import DatabaseError, HostNotReady
from tests.database.conftest import LAB, fill

ROOT = Path(__file__).parents[2]

NEXT = '''
"""A later house."""

import os
import signal

from alembic import op

revision = "9999"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE labs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")
    if os.environ.get("CRASH") == "middle":
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("CRASH") == "orphan":
        op.execute("DELETE FROM labs")
    op.execute("UPDATE labs SET colour = 'green'")
'''


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The migrations of a later LabVirt."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_later.py").write_text(NEXT)
    return folder


def labs(path: Path) -> list[dict[str, object]]:
    raw = sqlite3.connect(path)
    raw.row_factory = sqlite3.Row
    rows = [dict(row) for row in raw.execute("SELECT * FROM labs")]
    raw.close()
    return rows


@pytest.mark.filterwarnings("ignore:Cannot correctly sort tables")
def test_head_is_the_newest_migration_and_makes_exactly_the_tables(path: Path, database: SqliteDatabase) -> None:
    script = ScriptDirectory(str(migrate.MIGRATIONS))
    assert script.get_heads() == [migrate.HEAD]
    engine = connect(path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        connection.exec_driver_sql("ALTER TABLE labs ADD COLUMN planted TEXT")
        assert len(compare_metadata(MigrationContext.configure(connection), metadata)) == 1
    engine.dispose()


@pytest.mark.filterwarnings("ignore:Cannot correctly sort tables")
def test_the_tables_text_is_that_of_the_migration(path: Path, database: SqliteDatabase) -> None:
    """compare_metadata does not look at CHECK constraints; the text does."""
    made = sqlite3.connect(path)
    expected = sqlite3.connect(":memory:")
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", creator=lambda: expected, poolclass=StaticPool)
    metadata.create_all(engine)

    def texts(raw: sqlite3.Connection) -> dict[str, str]:
        query = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name != 'alembic_version'"
        return {name: "".join(sql.split()) for name, sql in raw.execute(query)}

    assert texts(made) == texts(expected)
    engine.dispose()
    made.close()
    expected.close()


def test_a_missing_database_is_not_made_unless_asked(path: Path) -> None:
    with pytest.raises(HostNotReady, match="not set up") as caught:
        SqliteDatabase.open(path)
    assert "labvirt init" in caught.value.hint
    assert not path.exists()
    SqliteDatabase.open(path, create=True).close()
    assert path.stat().st_mode & 0o777 == 0o600
    SqliteDatabase.open(path).close()


def test_an_older_database_is_migrated_and_a_copy_is_kept(path: Path, database: SqliteDatabase, later: Path) -> None:
    fill(database)
    database.close()
    migrate.ensure(path, migrations=later, head="9999")
    assert [(row["name"], row["colour"]) for row in labs(path)] == [("lab-a", "green")]
    kept = path.with_name("labvirt.db.before-0007-changed")
    assert kept.stat().st_mode & 0o777 == 0o600
    old = SqliteDatabase.open(kept)
    with old.read() as work:
        assert work.labs.list() == (LAB,)
    old.close()
    migrate.ensure(path, migrations=later, head="9999")


def test_a_newer_database_is_refused_and_not_touched(path: Path, database: SqliteDatabase, later: Path) -> None:
    fill(database)
    SqliteDatabase.open(path).close()
    database.close()
    migrate.ensure(path, migrations=later, head="9999")
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="newer LabVirt") as caught:
        SqliteDatabase.open(path)
    assert not caught.value.retryable
    assert path.read_bytes() == before
    assert [(row["name"], row["colour"]) for row in labs(path)] == [("lab-a", "green")]


@pytest.mark.parametrize("make", ["foreign", "text", "half", "empty-foreign-id"])
def test_a_foreign_or_damaged_file_is_refused_and_not_touched(path: Path, make: str) -> None:
    if make == "text":
        path.write_bytes(b"This is not a database, but somebody may want it.\n" * 100)
    else:
        raw = sqlite3.connect(path)
        raw.execute("CREATE TABLE songs (name TEXT)")
        if make == "empty-foreign-id":
            raw.execute("PRAGMA application_id = 7")
        raw.commit()
        raw.close()
        if make == "half":
            path.write_bytes(path.read_bytes()[:150])
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(DatabaseError, match=r"(another program|damaged)"):
            SqliteDatabase.open(path, create=create)
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name]


def crash(path: Path, later: Path, how: str) -> int:
    program = f"""
import sys
from pathlib import Path
from labvirt.database import migrate
migrate.ensure(Path({str(path)!r}), create=True, migrations=Path({str(later)!r}), head="9999")
"""
    environment = {"CRASH": how, "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, timeout=60, capture_output=True).returncode


def test_a_migration_killed_in_the_middle_leaves_the_old_database(path: Path, database: SqliteDatabase, later: Path) -> None:
    fill(database)
    database.close()
    assert crash(path, later, "middle") == -signal.SIGKILL
    again = SqliteDatabase.open(path)
    with again.read() as work:
        assert work.labs.list() == (LAB,)
    again.close()
    assert crash(path, later, "no") == 0
    assert [row["colour"] for row in labs(path)] == ["green"]


def test_a_migration_that_breaks_references_is_undone(path: Path, database: SqliteDatabase, later: Path) -> None:
    fill(database)
    database.close()
    assert crash(path, later, "orphan") == 1
    again = SqliteDatabase.open(path)
    with again.read() as work:
        assert work.labs.list() == (LAB,)
    again.close()


def test_a_creation_killed_in_the_middle_is_made_anew(path: Path, later: Path) -> None:
    assert crash(path, later, "middle") == -signal.SIGKILL
    assert path.exists()
    SqliteDatabase.open(path, create=True).close()
    SqliteDatabase.open(path).close()


def test_several_at_once_migrate_once(path: Path, database: SqliteDatabase, later: Path) -> None:
    fill(database)
    database.close()
    problems: list[BaseException] = []

    def one() -> None:
        try:
            migrate.ensure(path, migrations=later, head="9999")
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            problems.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    assert [row["colour"] for row in labs(path)] == ["green"]
