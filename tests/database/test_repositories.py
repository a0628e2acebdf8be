# SPDX-License-Identifier: MIT
"""Values come back as they were; what may not be twice is refused by name; what is needed cannot go."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from labvirt.contracts.database import Heartbeat, HistoryEntry
from labvirt.database.unit_of_work import SqliteDatabase, SqliteUnitOfWork
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.guest import RunId
from labvirt.domain.image import Stage
from labvirt.errors import AlreadyExists, Conflict, DatabaseError, InUse, NotFound
from tests.database.conftest import CLASS, GUEST, HOST, IMAGE, LAB, NOW, PROFILE, TERMINAL, VERSION, stranger

EVERYTHING: list[tuple[str, Any]] = [
    ("labs", LAB),
    ("classes", CLASS),
    ("profiles", PROFILE),
    ("terminals", TERMINAL),
    ("images", IMAGE),
    ("hosts", HOST),
    ("guests", GUEST),
]


@pytest.mark.parametrize("repository, value", EVERYTHING)
def test_values_come_back_as_they_were(filled: SqliteDatabase, repository: str, value: Any) -> None:
    with filled.read() as work:
        things = getattr(work, repository)
        assert things.get(value.name) == value
        assert things.one(value.name) == value
        assert things.list() == (value,)
        assert things.get("nobody") is None
        with pytest.raises(NotFound, match="nobody"):
            things.one("nobody")


def test_no_field_of_the_samples_is_left_at_its_default() -> None:
    """Else a field that mapping.py forgets would come back right by accident."""
    excused = {("Lab", "block"), ("Lab", "mac_prefix"), ("Image", "published"), ("Guest", "running_at")}
    excused |= {("Profile", f) for f in ("firmware", "machine", "clock", "nic", "sound", "video", "mode", "position", "active", "note")}
    for _, value in EVERYTHING:
        for field in fields(value):
            if getattr(value, field.name) == field.default:
                assert (type(value).__name__, field.name) in excused


def test_every_enumeration_of_a_profile_comes_back(filled: SqliteDatabase) -> None:
    from labvirt.domain.profile import Clock, Firmware, Machine, Mode, Nic, Sound, Video

    for kind, field in ((Firmware, "firmware"), (Machine, "machine"), (Clock, "clock"), (Nic, "nic"), (Sound, "sound"), (Video, "video")):
        for value in kind:
            changed = replace(PROFILE, position=7, active=False, note="n", mode=Mode.ADMINISTRATIVE, **{field: value})  # type: ignore[arg-type]
            with filled.write() as work:
                work.profiles.update(changed)
                assert work.profiles.one("desk") == changed


@pytest.mark.parametrize("repository, value", EVERYTHING)
def test_update_and_remove_need_an_existing_thing(filled: SqliteDatabase, repository: str, value: Any) -> None:
    with filled.write() as work:
        things = getattr(work, repository)
        things.update(value)
        with pytest.raises(AlreadyExists, match=value.name):
            things.add(value)
        name = "lab-x-01" if repository == "guests" else "nobody"
        with pytest.raises(NotFound, match=name):
            things.update(replace(value, name=name))
        with pytest.raises(NotFound, match=name):
            things.remove(name)


COLLISIONS: list[tuple[str, Callable[[SqliteUnitOfWork], None], str, str]] = [
    ("block", lambda w: w.labs.add(replace(LAB, name="b", network=AddressPlan(IPv4Network("10.78.0.0/24")))), "block '0'", "lab-a"),
    ("network", lambda w: w.labs.add(replace(LAB, name="b", block=1)), "network '10.77.0.0/24'", "lab-a"),
    ("mac", lambda w: w.terminals.add(replace(TERMINAL, name="b", seat=2, inventory_id=None)), "52:54:00:00:00:01", "pc-01"),
    ("seat", lambda w: w.terminals.add(replace(TERMINAL, name="b", mac=None, inventory_id=None)), "seat 'lab-a 1'", "pc-01"),
    ("id", lambda w: w.terminals.add(replace(TERMINAL, name="b", mac=None, seat=2)), "inventory id", "pc-01"),
    ("file", lambda w: w.images.add_version(replace(VERSION, number=2)), "file 'tiny/v1.qcow2'", "tiny"),
    ("version", lambda w: w.images.add_version(replace(VERSION, file=PurePosixPath("x"))), "tiny 1", ""),
    ("guest's seat", lambda w: w.guests.add(replace(GUEST, name="b", run=None)), "seat", "lab-a-01"),
    ("run", lambda w: w.guests.add(replace(GUEST, name="b", seat=2)), "run 'lab-a-01.g3'", "lab-a-01"),
]


@pytest.mark.parametrize("collide, named, holder", [each[1:] for each in COLLISIONS], ids=[each[0] for each in COLLISIONS])
def test_what_collides_is_named_with_its_holder(
    filled: SqliteDatabase, collide: Callable[[SqliteUnitOfWork], None], named: str, holder: str
) -> None:
    with pytest.raises(AlreadyExists) as caught, filled.write() as work:
        collide(work)
    assert named in str(caught.value)
    assert holder in caught.value.hint
    with filled.write() as work:  # the refusal left nothing behind, and the next one may write
        work.labs.add(replace(LAB, name="b", block=1, network=AddressPlan(IPv4Network("10.78.0.0/24"))))
        work.terminals.add(replace(TERMINAL, name="b", lab="b", mac=MacAddress(0x525400000002), inventory_id="b"))
        work.commit()
    with filled.read() as work:
        assert [lab.name for lab in work.labs.list()] == ["b", "lab-a"]


@pytest.mark.parametrize(
    "change, missing",
    [
        (lambda w: w.terminals.update(replace(TERMINAL, lab="x")), "lab .*'x'"),
        (lambda w: w.terminals.update(replace(TERMINAL, terminal_class="x")), "terminal class .*'x'"),
        (lambda w: w.profiles.update(replace(PROFILE, labs=frozenset({"x"}))), "lab .*'x'"),
        (lambda w: w.guests.update(replace(GUEST, host="x")), "host .*'x'"),
        (lambda w: w.guests.update(replace(GUEST, disks=(replace(GUEST.disks[0], version=5),))), "version .*tiny:5"),
        (lambda w: w.images.add_version(replace(VERSION, image="x", file=PurePosixPath("y"))), "image .*'x'"),
        (lambda w: w.heartbeats.put(Heartbeat(terminal="x", at=NOW, viewer="none")), "terminal .*'x'"),
    ],
)
def test_what_is_missing_is_named(filled: SqliteDatabase, change: Callable[[SqliteUnitOfWork], None], missing: str) -> None:
    with filled.write() as work, pytest.raises(NotFound, match=missing):
        change(work)


@pytest.mark.parametrize(
    "repository, name, user",
    [
        ("labs", "lab-a", "(terminal pc-01|guest lab-a-01|profile desk)"),
        ("classes", "rdp", "terminal pc-01"),
        ("profiles", "desk", "(terminal pc-01|guest lab-a-01)"),
        ("images", "tiny", "(profile desk|version tiny)"),
        ("hosts", "here", "guest lab-a-01"),
    ],
)
def test_what_is_used_cannot_go_and_its_user_is_named(filled: SqliteDatabase, repository: str, name: str, user: str) -> None:
    with filled.write() as work, pytest.raises(InUse, match=user):
        getattr(work, repository).remove(name)
    with filled.write() as work:
        work.guests.remove("lab-a-01")
        work.terminals.remove("pc-01")
        if repository != "images":
            work.profiles.remove("desk") if repository != "profiles" else None
            getattr(work, repository).remove(name)
        work.commit()


def test_a_removed_terminal_leaves_its_guest_and_takes_its_heartbeat(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        work.heartbeats.put(Heartbeat(terminal="pc-01", at=NOW, viewer="none"))
        work.terminals.remove("pc-01")
        work.commit()
    with filled.read() as work:
        assert work.guests.one("lab-a-01") == replace(GUEST, terminal=None)
        assert work.heartbeats.list() == ()


def test_an_older_wish_does_not_overwrite_a_newer_one(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        work.guests.update(replace(GUEST, generation=5))
        work.guests.update(replace(GUEST, generation=5, reason="again"))
        with pytest.raises(Conflict, match="generation 5 after 4"):
            work.guests.update(replace(GUEST, generation=4))
        work.commit()
    with filled.read() as work:
        assert work.guests.one("lab-a-01").reason == "again"


def test_the_published_pointer_moves_only_from_where_it_was_seen(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        work.images.add_version(replace(VERSION, number=2, file=PurePosixPath("tiny/v2.qcow2"), parent=1))
        with pytest.raises(Conflict, match="none now"):
            work.images.publish("tiny", 2, expected=1)
        work.images.publish("tiny", 1, expected=None)
        work.images.publish("tiny", 2, expected=1)
        with pytest.raises(NotFound, match="tiny:3"):
            work.images.publish("tiny", 3, expected=2)
        work.commit()
    with filled.read() as work:
        assert work.images.one("tiny").published == 2
        assert [v.stage for v in work.images.versions("tiny")] == [Stage.PUBLISHED, Stage.PUBLISHED]
        assert work.images.version("tiny", 2) == replace(
            VERSION, number=2, file=PurePosixPath("tiny/v2.qcow2"), parent=1, stage=Stage.PUBLISHED
        )


def test_blocks_are_given_from_the_lowest(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        assert work.labs.next_block() == 1
        work.labs.add(replace(LAB, name="c", block=2, network=AddressPlan(IPv4Network("10.79.0.0/24"))))
        assert work.labs.next_block() == 1


def test_the_inbox_keeps_a_thousand_and_forgets_the_longest_unseen(database: SqliteDatabase) -> None:
    with database.write() as work:
        for number in range(1000):
            work.strangers.put(stranger(number, NOW + timedelta(seconds=number)))
        work.strangers.put(stranger(0, NOW + timedelta(days=1)))
        assert len(work.strangers.list()) == 1000
        work.strangers.put(stranger(5000, NOW))  # the newcomer itself stays, however old its clock says it is
        assert len(work.strangers.list()) == 1000
        assert work.strangers.get("thin-1") is None
        assert work.strangers.get("thin-0") == stranger(0, NOW + timedelta(days=1))
        assert work.strangers.by_code(stranger(5000).code) == stranger(5000, NOW)
        work.strangers.remove("thin-5000")
        work.strangers.remove("thin-5000")


def test_history_is_bounded_and_newest_first(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    from labvirt.database.repositories import records

    monkeypatch.setattr(records, "HISTORY_KEPT", 100)
    with database.write() as work:
        for number in range(1024):
            work.history.add(HistoryEntry(at=NOW, subject="a" if number % 2 else "b", what=str(number)))
        assert [entry.what for entry in work.history.last(2)] == ["1023", "1022"]
        assert [entry.what for entry in work.history.last(2, "b")] == ["1022", "1020"]
        assert len(work.history.last(10_000)) == 100


def test_facts(database: SqliteDatabase) -> None:
    with database.write() as work:
        assert work.facts.get("x") is None
        work.facts.put("x", "1")
        work.facts.put("x", "2")
        assert work.facts.get("x") == "2"
        work.facts.remove("x")
        work.facts.remove("x")
        assert work.facts.get("x") is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE guests SET state = 'dancing'",
        "UPDATE guests SET generation = 0",
        "UPDATE labs SET on_leave = 'x'",
        "UPDATE labs SET block = 4096",
        "UPDATE terminals SET active = 2",
        "UPDATE classes SET program = 'sh'",
        "UPDATE versions SET number = 0",
        "UPDATE images SET published = 9",
        "DELETE FROM labs",
    ],
)
def test_the_tables_refuse_what_cannot_be_whoever_writes(filled: SqliteDatabase, path: Path, statement: str) -> None:
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA foreign_keys = 1")
    raw.execute("UPDATE guests SET state = 'stopped'")
    with pytest.raises(sqlite3.IntegrityError):  # noqa: PT012 - a deferred reference is looked at by the commit
        raw.execute(statement)
        raw.commit()
    raw.close()


def test_a_row_that_cannot_be_is_said_and_not_guessed_at(filled: SqliteDatabase, path: Path) -> None:
    with filled.read() as work:
        assert work.labs.list()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE labs SET network = '8.8.8.0/24'")
    raw.commit()
    raw.close()
    with filled.read() as work, pytest.raises(DatabaseError, match="lab-a") as caught:
        work.labs.list()
    assert not caught.value.retryable
    assert RunId.parse("lab-a-01.g3") == GUEST.run
