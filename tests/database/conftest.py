# SPDX-License-Identifier: MIT
"""A database file, and domain values to fill it with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath

import pytest

from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.canary import Canary, CanaryStep
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.host import Host
from labvirt.domain.image import DiskChoice, Image, Stage, Version
from labvirt.domain.job import Job, JobError, JobKind, JobState
from labvirt.domain.lab import DhcpMode, Lab, OnLeave
from labvirt.domain.profile import Bus, Firmware, Mode, Profile, Protocol, SessionPolicy, Slot, SlotKind
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.domain.terminal_class import TerminalClass

NOW = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)

LAB = Lab(
    name="lab-a",
    block=0,
    network=AddressPlan(IPv4Network("10.77.0.0/24")),
    max_instances=8,
    start_instances=2,
    on_leave=OnLeave.RESET,
    leave_grace_seconds=7,
    domain="school.internal",
    note="é",
    dhcp=DhcpMode.PROXY,
)
CLASS = TerminalClass(name="rdp", program="xfreerdp", template="/v:%ADDRESS% %X%", defaults=(("X", "a b"),))
IMAGE = Image(name="tiny", note="n", binned_at=NOW)
VERSION = Version(
    image="tiny",
    number=1,
    file=PurePosixPath("tiny/v1.qcow2"),
    format="qcow2",
    size_bytes=1,
    virtual_bytes=2,
    sha256="0" * 64,
    stage=Stage.DRAFT,
    made_at=NOW,
    note="n",
    author="teacher",
    companions=("uefi-vars.fd", "tpm2.state"),
    binned_at=NOW,
)
PROFILE = Profile(
    name="desk",
    memory_mib=64,
    cpus=2,
    slots=(
        Slot(kind=SlotKind.EMPTY, bus=Bus.SATA),
        Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="tiny", version=1),
        Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),
        Slot(kind=SlotKind.CDROM, bus=Bus.SATA),
    ),
    protocol=Protocol.RDP,
    mode=Mode.SNAPSHOT,
    labs=frozenset({"lab-a"}),
    user="student",
    ready_port=3389,
    lab_positions=(("lab-a", 7),),
    max_guests=12,
    start_guests=3,
    restart_days=4,
    session_policy=SessionPolicy.DRAIN,
    drain_seconds=60,
    overlay_cap_mib=2048,
    hyperv=True,
    firmware=Firmware.UEFI,
    tpm=True,
    extra=("device=usb-tablet", "rtc=clock=host"),
    checks=("office.py", "é.py"),
    home="smb://files.lab/homes/%LAB%/%USER%",
)
TERMINAL = Terminal(
    name="pc-01",
    lab="lab-a",
    seat=1,
    mac=MacAddress.parse("52:54:00:00:00:01"),
    inventory_id="inv;$(x)",
    terminal_class="rdp",
    profile="desk",
    parameters=(("X", "1 2"), ("Y", "ü")),
    active=False,
    note="by the door",
)
HOST = Host(name="here", memory_reserve_mib=1, disk_reserve_mib=2, starts_at_once=3, max_guests=4, in_service=False, note="x")
GUEST = Guest(
    origin="clone of desk.t3",
    name="lab-a-01",
    lab="lab-a",
    seat=1,
    wish=Wish.RUNNING,
    generation=3,
    state=GuestState.RUNNING,
    since=NOW,
    reason="because",
    terminal="pc-01",
    profile="desk",
    disks=(DiskChoice(place=1, image="tiny", version=1), DiskChoice(place=2, image="tiny", version=1)),
    run=RunId("lab-a-01", 3),
    host="here",
    stop_how=StopHow.KILL,
    asked_at=NOW,
    started_at=NOW,
    running_at=None,
    failures=2,
    purpose=Purpose.RESCUE,
    source="lab-a-01.g2",
    cdrom="/srv/a b.iso",
    boot_cdrom=True,
    due=Due.STOP,
    due_at=NOW,
    notice="tiny is being updated: please save your work",
)
DRAFT = Draft(
    name="tiny.d5",
    image="tiny",
    parent=1,
    pointer=1,
    profile="desk",
    lab="lab-a",
    place=1,
    state=DraftState.OPEN,
    since=NOW,
    made_at=NOW,
    touched_at=NOW,
    owner="teacher",
    note="with a writer",
    guest="lab-a-01",
    candidate=2,
    reminded_at=NOW,
)
JOB = Job(
    number=1,
    kind=JobKind.RESCUE_FILES,
    subject="lab-a-01.g2",
    asked_by="é",
    asked_at=NOW,
    arguments={"path": "1/home", "target": "/srv/a b"},
    state=JobState.FAILED,
    attempts=2,
    started_at=NOW,
    ended_at=NOW,
    step="reading",
    step_since=NOW,
    done=1 << 40,
    total=1 << 41,
    unit="bytes",
    cancel=True,
    result={"bytes": "0"},
    error=JobError(code="disk", sentence="It is full.", hint="Make room."),
)
CANARY = Canary(
    image="tiny",
    version=1,
    profile="desk",
    at=NOW,
    seconds=1.23456,
    steps=(CanaryStep(name="its lease", ok=True, said="10.77.0.1", seconds=0.5), CanaryStep(name="check", ok=False, said="ü")),
    picture="tiny-v1.png",
    log="boot\nlogin:",
)


def stranger(number: int, seen: datetime = NOW) -> Stranger:
    letters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
    code = "".join(letters[number // 32**place % 32] for place in range(6))
    return Stranger(
        id=f"thin-{number}",
        code=code,
        mac=MacAddress(0x020000000000 + number),
        address=IPv4Address("10.77.0.20"),
        first_seen=NOW,
        last_seen=seen,
        asked=4,
        says=(("kiosk", "1"),),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labvirt.db"


@pytest.fixture
def database(path: Path) -> Iterator[SqliteDatabase]:
    opened = SqliteDatabase.open(path, create=True)
    yield opened
    opened.close()


@pytest.fixture
def filled(database: SqliteDatabase) -> SqliteDatabase:
    fill(database)
    return database


def fill(database: SqliteDatabase) -> None:
    """One of everything, with every field away from its default."""
    with database.write() as work:
        work.labs.add(LAB)
        work.classes.add(CLASS)
        work.images.add(IMAGE)
        work.images.add_version(VERSION)
        work.profiles.add(PROFILE)
        work.terminals.add(TERMINAL)
        work.hosts.add(HOST)
        work.guests.add(GUEST)
        work.drafts.add(DRAFT)
        work.jobs.add(JOB)
        work.canaries.put(CANARY)
        work.strangers.put(stranger(1))
        work.commit()
