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

from labvirt.contracts.database import Heartbeat
from labvirt.database.unit_of_work import SqliteDatabase, SqliteUnitOfWork
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import GuestState, Purpose, RunId, Wish
from labvirt.domain.image import DiskChoice, Stage
from labvirt.domain.job import Job, JobKind, JobState
from labvirt.domain.profile import Bus, Slot, SlotKind
from labvirt.errors import AlreadyExists, Conflict, DatabaseError, InUse, NotFound
from tests.database.conftest import CANARY, CLASS, DRAFT, GUEST, HOST, IMAGE, JOB, LAB, NOW, PROFILE, TERMINAL, VERSION, stranger

SECOND = replace(VERSION, number=2, file=PurePosixPath("tiny/v2.qcow2"), parent=1, backing=1, binned_at=None)

EVERYTHING: list[tuple[str, Any]] = [
    ("labs", LAB),
    ("classes", CLASS),
    ("profiles", PROFILE),
    ("terminals", TERMINAL),
    ("images", IMAGE),
    ("hosts", HOST),
    ("guests", GUEST),
    ("drafts", DRAFT),
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
    excused = {("Lab", "block"), ("Lab", "mac_prefix"), ("Image", "published"), ("Image", "previous"), ("Guest", "running_at")}
    excused |= {("Version", "parent"), ("Version", "backing")}
    excused |= {("Profile", f) for f in ("machine", "clock", "nic", "sound", "video", "mode", "position", "active", "note")}
    excused |= {("Profile", "instant_clone")}  # not with a TPM: test_instant_clones_come_back
    for value in (*(value for _, value in EVERYTHING), VERSION, JOB, CANARY):
        for field in fields(value):
            if getattr(value, field.name) == field.default:
                assert (type(value).__name__, field.name) in excused


def test_every_enumeration_of_a_profile_comes_back(filled: SqliteDatabase) -> None:
    from labvirt.domain.profile import Clock, Firmware, Machine, Mode, Nic, Sound, Video

    for kind, field in ((Firmware, "firmware"), (Machine, "machine"), (Clock, "clock"), (Nic, "nic"), (Sound, "sound"), (Video, "video")):
        for value in kind:
            changed = replace(PROFILE, tpm=False, position=7, active=False, note="n", mode=Mode.ADMINISTRATIVE, **{field: value})  # type: ignore[arg-type]
            with filled.write() as work:
                work.profiles.update(changed)
                assert work.profiles.one("desk") == changed


def test_instant_clones_come_back(filled: SqliteDatabase) -> None:
    from labvirt.domain.profile import Firmware

    changed = replace(PROFILE, tpm=False, firmware=Firmware.BIOS, home=None, instant_clone=True)
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
        name = {"guests": "lab-x-01", "drafts": "tiny.d9"}.get(repository, "nobody")
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
        assert (work.images.one("tiny").published, work.images.one("tiny").previous) == (2, 1)
        assert [v.stage for v in work.images.versions("tiny")] == [Stage.RETIRED, Stage.PUBLISHED]
        assert work.images.version("tiny", 2) == replace(
            VERSION, number=2, file=PurePosixPath("tiny/v2.qcow2"), parent=1, stage=Stage.PUBLISHED
        )


def test_undo_is_a_way_there_and_back_and_saying_it_twice_changes_nothing(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        work.images.add_version(SECOND)
        work.images.publish("tiny", 1, expected=None)
        assert work.images.one("tiny").previous is None
        work.images.publish("tiny", 2, expected=1)
        work.images.publish("tiny", 2, expected=2)
        assert (work.images.one("tiny").published, work.images.one("tiny").previous) == (2, 1)
        work.images.publish("tiny", 1, expected=2)
        assert (work.images.one("tiny").published, work.images.one("tiny").previous) == (1, 2)
        assert [v.stage for v in work.images.versions("tiny")] == [Stage.PUBLISHED, Stage.RETIRED]


def test_a_version_is_replaced_by_its_key(filled: SqliteDatabase) -> None:
    flat = replace(SECOND, file=PurePosixPath("tiny/v2-flat"), backing=None, note="flat", stage=Stage.TESTED, companions=())
    with filled.write() as work:
        work.images.add_version(SECOND)
        assert work.images.version("tiny", 2) == SECOND
        work.images.update_version(flat)
        assert work.images.versions("tiny") == (VERSION, flat)
        with pytest.raises(NotFound, match="tiny:3"):
            work.images.update_version(replace(flat, number=3))
        with pytest.raises(AlreadyExists, match="tiny/v1"):
            work.images.update_version(replace(flat, file=VERSION.file))


USERS: list[tuple[str, Callable[[SqliteUnitOfWork], None], Callable[[SqliteUnitOfWork], None]]] = [
    ("image tiny", lambda w: w.images.publish("tiny", 2, expected=None), lambda w: w.images.update(IMAGE)),
    (
        "version tiny v3",
        lambda w: w.images.add_version(replace(SECOND, number=3, backing=2, file=PurePosixPath("3"))),
        lambda w: w.images.remove_version("tiny", 3),
    ),
    (
        "profile desk",
        lambda w: w.profiles.update(replace(PROFILE, slots=(Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="tiny", version=2),))),
        lambda w: w.profiles.update(PROFILE),
    ),
    ("draft tiny.d5", lambda w: w.drafts.update(replace(DRAFT, parent=2)), lambda w: w.drafts.update(DRAFT)),
    (
        "guest lab-a-01",
        lambda w: w.guests.update(replace(GUEST, disks=(DiskChoice(place=0, image="tiny", version=2),))),
        lambda w: w.guests.update(GUEST),
    ),
]


@pytest.mark.parametrize("user, use, leave", USERS, ids=[each[0] for each in USERS])
def test_a_version_goes_when_nobody_needs_it(
    filled: SqliteDatabase, user: str, use: Callable[[SqliteUnitOfWork], None], leave: Callable[[SqliteUnitOfWork], None]
) -> None:
    with filled.write() as work:
        work.images.add_version(SECOND)
        use(work)
        with pytest.raises(InUse, match=f"tiny v2.* is used by the {user}"):
            work.images.remove_version("tiny", 2)
        leave(work)
        work.images.remove_version("tiny", 2)
        with pytest.raises(NotFound, match="tiny:2"):
            work.images.remove_version("tiny", 2)
        work.commit()
    with filled.read() as work:
        assert work.images.versions("tiny") == (VERSION,)


def test_all_who_need_a_version_are_named(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        with pytest.raises(InUse) as caught:
            work.images.remove_version("tiny", 1)
        assert caught.value.by == "the draft tiny.d5, the guest lab-a-01 and the profile desk"
        for number in range(2, 7):
            work.images.add_version(replace(SECOND, number=number, file=PurePosixPath(str(number)), backing=1))
        with pytest.raises(InUse, match="the version tiny v3 and 3 more"):
            work.images.remove_version("tiny", 1)


@pytest.mark.parametrize(
    "state, wish, purpose, keeps",
    [
        (GuestState.STOPPED, Wish.STOPPED, Purpose.SEAT, False),
        (GuestState.FAILED, Wish.RUNNING, Purpose.SEAT, False),
        (GuestState.FAILED, Wish.STOPPED, Purpose.ADMIN, False),
        (GuestState.FAILED, Wish.RUNNING, Purpose.ADMIN, True),
        (GuestState.RUNNING, Wish.STOPPED, Purpose.SEAT, True),
        (GuestState.WANTED, Wish.RUNNING, Purpose.SEAT, True),
    ],
)
def test_guests_that_are_off_do_not_keep_a_version(
    filled: SqliteDatabase, state: GuestState, wish: Wish, purpose: Purpose, keeps: bool
) -> None:
    disks = (DiskChoice(place=0, image="tiny", version=2), DiskChoice(place=1, image="tiny", version=1))
    with filled.write() as work:
        work.images.add_version(SECOND)
        work.guests.update(replace(GUEST, state=state, wish=wish, purpose=purpose, disks=disks))
        if keeps:
            with pytest.raises(InUse, match="lab-a-01"):
                work.images.remove_version("tiny", 2)
        else:
            work.images.remove_version("tiny", 2)
            assert work.guests.one("lab-a-01").disks == ()


def test_what_only_remembers_a_version_forgets_it(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        work.images.add_version(SECOND)
        work.images.publish("tiny", 2, expected=None)
        work.images.publish("tiny", 1, expected=2)
        work.canaries.put(replace(CANARY, version=2))
        assert work.images.one("tiny").previous == 2
        work.images.add_version(replace(SECOND, number=3, parent=2, file=PurePosixPath("3"), backing=None))
        work.images.remove_version("tiny", 2)
        assert work.images.one("tiny").previous is None
        assert work.drafts.one("tiny.d5").candidate is None
        assert work.canaries.list() == (CANARY,)
        version = work.images.version("tiny", 3)
        assert version is not None
        assert version.parent == 2, "history stays"
        work.commit()


def test_numbers_are_never_used_twice(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        assert work.images.next_number("tiny") == 2
        work.images.add_version(SECOND)
        assert work.images.next_number("tiny") == 3
        work.images.remove_version("tiny", 2)
        assert work.images.next_number("tiny") == 4
        assert [work.images.next_number("tiny", "draft") for _ in range(2)] == [6, 7]
        assert work.images.next_number("other") == 1
        work.facts.put("last-number:older", "7")  # as the first LabVirt kept it
        assert work.images.next_number("older") == 8
        with pytest.raises(KeyError):
            work.images.next_number("tiny", "song")
        work.commit()
    with filled.write() as work:
        assert work.images.next_number("tiny") == 5
    with filled.write() as work:  # the one before was left without commit
        assert work.images.next_number("tiny") == 5


def test_one_draft_of_an_image_may_be_open(filled: SqliteDatabase) -> None:
    second = replace(DRAFT, name="tiny.d6", guest=None)
    with filled.write() as work:
        assert work.drafts.open_of("tiny") == DRAFT
        with pytest.raises(AlreadyExists, match="open draft of the image 'tiny'") as caught:
            work.drafts.add(second)
        assert "It is tiny.d5" in caught.value.hint
        work.drafts.add(replace(second, state=DraftState.KEPT))
        with pytest.raises(AlreadyExists, match=r"tiny.d6"):
            work.drafts.add(replace(second, state=DraftState.KEPT))
        with pytest.raises(AlreadyExists):
            work.drafts.update(second)
        work.drafts.update(replace(DRAFT, state=DraftState.PUBLISHING))
        assert work.drafts.open_of("tiny") is None
        work.drafts.update(second)
        assert [each.name for each in work.drafts.of_image("tiny")] == ["tiny.d5", "tiny.d6"]
        assert work.drafts.of_image("other") == ()
        with pytest.raises(NotFound, match=r"version .*tiny:7"):
            work.drafts.update(replace(second, parent=7))
        with pytest.raises(NotFound, match=r"guest .*lab-x"):
            work.drafts.update(replace(second, guest="lab-x"))
        work.guests.remove("lab-a-01")
        assert work.drafts.one("tiny.d5").guest is None


def test_jobs_are_numbered_listed_and_forgotten(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        assert work.jobs.one(1) == JOB
        fresh = Job(number=0, kind=JobKind.IMPORT, subject="tiny", asked_by="a", asked_at=NOW)
        assert work.jobs.add(fresh) == replace(fresh, number=2)
        assert work.jobs.add(replace(fresh, state=JobState.RUNNING)).number == 3
        assert work.jobs.add(replace(JOB, state=JobState.DONE)).number == 4
        assert [job.number for job in work.jobs.list()] == [4, 3, 2, 1]
        assert [job.number for job in work.jobs.list(last=2)] == [4, 3]
        assert [job.number for job in work.jobs.list(unended=True)] == [3, 2]
        work.jobs.update(replace(JOB, step="again", error=None))
        assert work.jobs.one(1) == replace(JOB, step="again", error=None)
        for act in (lambda: work.jobs.one(9), lambda: work.jobs.update(replace(JOB, number=9)), lambda: work.jobs.say(9, NOW, "x")):
            with pytest.raises(NotFound, match=r"job .*'9'"):
                act()
        work.jobs.say(1, NOW, "ü")
        work.jobs.trim(1)
        assert [job.number for job in work.jobs.list()] == [4, 3, 2]
        assert work.jobs.lines(1) == ()
        work.jobs.trim(0)
        assert [job.number for job in work.jobs.list()] == [3, 2]


def test_a_jobs_log_is_bounded_and_in_order(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        other = work.jobs.add(JOB).number
        work.jobs.say(other, NOW, "other")
        for number in range(1005):
            work.jobs.say(1, NOW + timedelta(seconds=number), f"line {number}")
        lines = work.jobs.lines(1)
        assert (len(lines), lines[0], lines[-1][1]) == (1000, (NOW + timedelta(seconds=5), "line 5"), "line 1004")
        assert work.jobs.lines(other) == ((NOW, "other"),)


def test_the_last_canary_of_a_version_counts(filled: SqliteDatabase) -> None:
    again = replace(CANARY, steps=CANARY.steps[:1], seconds=2.0)
    with filled.write() as work:
        assert work.canaries.get("tiny", 1) == CANARY
        assert work.canaries.get("tiny", 2) is None
        work.canaries.put(again)
        assert work.canaries.list() == (again,)
        with pytest.raises(NotFound, match=r"version .*tiny:2"):
            work.canaries.put(replace(CANARY, version=2))
        work.canaries.remove("tiny", 1)
        work.canaries.remove("tiny", 1)
        assert work.canaries.list() == ()


def test_a_removed_lab_takes_the_positions_that_name_it(filled: SqliteDatabase) -> None:
    with filled.write() as work:
        work.labs.add(replace(LAB, name="b", block=1, network=AddressPlan(IPv4Network("10.78.0.0/24"))))
        work.profiles.update(replace(PROFILE, lab_positions=(("b", 1), ("lab-a", 7))))
        assert work.profiles.one("desk").lab_positions == (("b", 1), ("lab-a", 7))
        work.labs.remove("b")
        assert work.profiles.one("desk").lab_positions == (("lab-a", 7),)
        with pytest.raises(NotFound, match=r"lab .*'b'"):
            work.profiles.update(replace(PROFILE, lab_positions=(("b", 1),)))


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
        "UPDATE images SET previous = 9",
        "UPDATE versions SET backing = 9",
        "UPDATE guests SET due = NULL",
        "UPDATE guests SET due = 'later'",
        "UPDATE guests SET purpose = 'fun'",
        "UPDATE profiles SET session_policy = 'x'",
        "UPDATE drafts SET state = 'x'",
        "UPDATE jobs SET state = 'x'",
        "UPDATE jobs SET kind = 'x'",
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
