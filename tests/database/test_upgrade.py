# SPDX-License-Identifier: MIT
"""A database of the first LabVirt, filled, becomes one of today: every row is there, with sensible values for what is new."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from labvirt.contracts.database import Heartbeat
from labvirt.database import migrate
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.domain.guest import Purpose, Wish
from labvirt.domain.image import DiskChoice, Stage
from labvirt.domain.profile import SessionPolicy
from tests.database.conftest import NOW

ROOT = Path(__file__).parents[2]
AT = "2026-03-02T08:00:00.123456+00:00"
SHA = "0" * 64

FILLED = f"""
INSERT INTO labs VALUES ('lab-a', 0, '10.77.0.0/24', 8, 2, 'reset', 7, 'school.internal', 150614, 'é');
INSERT INTO classes VALUES ('rdp', 'xfreerdp', '/v:%ADDRESS%', '[["X", "a b"]]');
INSERT INTO hosts VALUES ('here', 1, 2, NULL, 4, 1, 'x');
INSERT INTO images VALUES ('tiny', 2, 'n'), ('empty', NULL, '');
INSERT INTO versions VALUES
    ('tiny', 1, 'tiny/v1/disk.qcow2', 'qcow2', 1, 2, '{SHA}', 'published', '{AT}', NULL, 'first'),
    ('tiny', 2, 'tiny/v2/disk.qcow2', 'qcow2', 3, 4, '{SHA}', 'published', '{AT}', 1, ''),
    ('tiny', 3, 'tiny/v3/disk.raw', 'raw', 5, 6, '{SHA}', 'draft', '{AT}', 2, ''),
    ('empty', 1, 'empty/v1/disk.raw', 'raw', 5, 6, '{SHA}', 'published', '{AT}', NULL, '');
INSERT INTO profiles VALUES ('desk', 64, 2, 'bios', 'pc', 'utc', 'e1000', 'none', 'std', 'spice', 'snapshot', 5, 1, NULL, NULL, 'p');
INSERT INTO profile_slots VALUES ('desk', 0, 'disk', 'ide', 'tiny', NULL), ('desk', 1, 'disk', 'ide', 'tiny', 1);
INSERT INTO profile_labs VALUES ('desk', 'lab-a');
INSERT INTO terminals VALUES ('pc-01', 'lab-a', 1, '52:54:00:00:00:01', NULL, 'rdp', 'desk', '[]', 1, '');
INSERT INTO guests VALUES
    ('lab-a-01', 'lab-a', 1, 'running', 3, 'running', '{AT}', 'r', 'pc-01', 'desk', 'lab-a-01.g3', 'here', 'kill', '{AT}', NULL, NULL, 2);
INSERT INTO guest_disks VALUES ('lab-a-01', 0, 'tiny', 1), ('lab-a-01', 1, 'tiny', 2);
INSERT INTO strangers VALUES ('thin-1', '234567', NULL, NULL, '{AT}', '{AT}', 4, '[]');
INSERT INTO heartbeats VALUES ('pc-01', '{AT}', 'none', NULL, NULL, '', '');
INSERT INTO history VALUES (7, '{AT}', 'tiny', 'version 1 added');
INSERT INTO facts VALUES ('last-number:tiny', '9');
"""  # noqa: S608 - no text from outside

KILLED = """
import os, signal, sys
from pathlib import Path
from alembic import op
from labvirt.database import migrate
left, execute = int(sys.argv[2]), op.execute
def counted(statement):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(statement)
op.execute = counted
migrate.ensure(Path(sys.argv[1]))
"""


@pytest.fixture
def old(path: Path) -> Path:
    migrate.ensure(path, create=True, head="0001")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA foreign_keys = 1")
        raw.executescript(f"BEGIN; {FILLED} COMMIT;")
    return path


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as raw:
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {table: sorted(raw.execute(f"SELECT * FROM {table}"), key=str) for table in tables}  # noqa: S608 - names SQLite gave


def test_everything_is_kept(old: Path) -> None:
    before = rows(old)
    assert all(before.values()), "each table has a row, else this proves little"
    database = SqliteDatabase.open(old)
    with database.read() as work:
        assert work.labs.one("lab-a").note == "é"
        image = work.images.one("tiny")
        assert (image.published, image.previous, image.note, image.binned_at) == (2, None, "n", None)
        first, second, third = work.images.versions("tiny")
        assert [each.stage for each in (first, second, third)] == [Stage.RETIRED, Stage.PUBLISHED, Stage.DRAFT]
        assert (first.note, first.author, first.backing, first.companions, first.made_at) == ("first", "", None, (), NOW)
        assert (second.parent, second.backing, str(third.file)) == (1, None, "tiny/v3/disk.raw")
        assert [each.stage for each in work.images.versions("empty")] == [Stage.RETIRED]
        profile = work.profiles.one("desk")
        assert (profile.position, profile.labs, len(profile.slots), profile.note) == (5, frozenset({"lab-a"}), 2, "p")
        assert (profile.session_policy, profile.drain_seconds, profile.max_guests) == (SessionPolicy.REFUSE, 300, None)
        assert (profile.extra, profile.checks, profile.tpm, profile.hyperv, profile.lab_positions) == ((), (), False, False, ())
        guest = work.guests.one("lab-a-01")
        assert (guest.wish, guest.generation, str(guest.run), guest.failures) == (Wish.RUNNING, 3, "lab-a-01.g3", 2)
        assert (guest.purpose, guest.source, guest.cdrom, guest.boot_cdrom, guest.due, guest.notice) == (
            Purpose.SEAT,
            "",
            "",
            False,
            None,
            "",
        )
        assert guest.disks == (DiskChoice(place=0, image="tiny", version=1), DiskChoice(place=1, image="tiny", version=2))
        assert work.terminals.one("pc-01").profile == "desk"
        assert work.heartbeats.list() == (Heartbeat(terminal="pc-01", at=NOW, viewer="none"),)
        assert [entry.what for entry in work.audit.last(9)] == ["version 1 added"]
    with database.write() as work:
        assert work.images.next_number("tiny") == 10
        work.profiles.update(profile)
        work.guests.update(guest)
        work.images.publish("tiny", 3, expected=2)
        work.commit()
    database.close()
    after = rows(old)
    changed = {"history", "images", "versions", "profiles", "guests", "alembic_version", "facts"}
    assert {table: after[table] for table in before if table not in changed} == {
        table: before[table] for table in before if table not in changed
    }
    with closing(sqlite3.connect(old)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize("statements", [0, 1, 2, 4, 13, 21, 25, 27])
def test_killed_in_the_middle_it_is_the_old_one_and_goes_on_next_time(old: Path, statements: int) -> None:
    before = rows(old)
    argv = [sys.executable, "-c", KILLED, str(old), str(statements)]
    assert subprocess.run(argv, cwd=ROOT, timeout=60, check=False).returncode == -signal.SIGKILL
    assert rows(old) == before
    database = SqliteDatabase.open(old)
    with database.read() as work:
        assert len(work.images.versions("tiny")) == 3
    database.close()


def test_all_statements_of_it_are_fewer_than_a_kill_waits_for(old: Path) -> None:
    """The control of the test before: left alone, the same program ends well."""
    argv = [sys.executable, "-c", KILLED, str(old), "1000"]
    assert subprocess.run(argv, cwd=ROOT, timeout=60, check=False).returncode == 0
    with closing(sqlite3.connect(old)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == (migrate.HEAD,)
