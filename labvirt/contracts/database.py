# SPDX-License-Identifier: MIT
"""The door to wishes and the audit. One unit of work is one transaction: leaving it without `commit` changes nothing.

Repositories return domain values only. Adding a thing that exists raises AlreadyExists that names what collides (name, MAC, seat, block,
network); missing ones give None from `get` and NotFound from `one`. Lists come sorted by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from labvirt.contracts.people import Groups, People, SignIns, Tokens
from labvirt.domain.addresses import MacAddress
from labvirt.domain.audit import Entry, Stump, Wanted
from labvirt.domain.boot import Boot
from labvirt.domain.canary import Canary
from labvirt.domain.draft import Draft
from labvirt.domain.guest import Guest
from labvirt.domain.hardware import HardwareReport
from labvirt.domain.host import Host
from labvirt.domain.image import Image, Version
from labvirt.domain.job import Job
from labvirt.domain.lab import Lab
from labvirt.domain.message import Message
from labvirt.domain.pool import Pool, Spare
from labvirt.domain.power_order import PowerOrder
from labvirt.domain.power_policy import Departure, PowerPolicy
from labvirt.domain.power_times import PowerTimes
from labvirt.domain.profile import Profile
from labvirt.domain.room import Room, SeatPlace
from labvirt.domain.setting import Scope, SettingValue
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.domain.terminal_class import TerminalClass

T = TypeVar("T")


class Named(Protocol[T]):
    """A repository of things with a name."""

    def get(self, name: str) -> T | None: ...
    def one(self, name: str) -> T: ...
    def list(self) -> tuple[T, ...]: ...
    def add(self, item: T) -> None: ...
    def update(self, item: T) -> None:
        """Replace the one of the same name; NotFound when there is none."""

    def remove(self, name: str) -> None:
        """NotFound when there is none; InUse (naming the user) while something refers to it."""


class Labs(Named[Lab], Protocol):
    def next_block(self) -> int:
        """The lowest free block number."""


class Terminals(Named[Terminal], Protocol):
    def by_mac(self, mac: MacAddress) -> Terminal | None: ...
    def by_inventory_id(self, value: str) -> Terminal | None: ...
    def of_lab(self, lab: str) -> tuple[Terminal, ...]: ...
    def at_seat(self, lab: str, seat: int) -> Terminal | None: ...


class Images(Named[Image], Protocol):
    def versions(self, image: str) -> tuple[Version, ...]:
        """By number."""

    def version(self, image: str, number: int) -> Version | None: ...
    def add_version(self, version: Version) -> None: ...
    def update_version(self, version: Version) -> None:
        """Replace the row of the same image and number (note, stage, file after flattening, binned_at ...). NotFound."""

    def remove_version(self, image: str, number: int) -> None:
        """NotFound; InUse while pointer, profile, guest, draft or another version refers to it."""

    def publish(self, image: str, number: int, *, expected: int | None) -> None:
        """Move the pointer if it is still `expected`; Conflict otherwise. Stages follow it: the new one is PUBLISHED, the one before
        RETIRED; `previous` is the one before."""

    def next_number(self, image: str, of: str = "version") -> int:
        """The next number of a 'version' or a 'draft' of this image; reserved with `commit`: numbers are never used twice, also not after
        a removal."""


class Drafts(Named[Draft], Protocol):
    def of_image(self, image: str) -> tuple[Draft, ...]: ...
    def open_of(self, image: str) -> Draft | None:
        """The one that is OPEN; the database allows one per image."""


class Jobs(Protocol):
    def add(self, job: Job) -> Job:
        """The job with its number (job.number is not looked at)."""

    def one(self, number: int) -> Job: ...
    def list(self, *, unended: bool = False, last: int = 50) -> tuple[Job, ...]:
        """The newest first."""

    def update(self, job: Job) -> None: ...
    def say(self, number: int, at: datetime, line: str) -> None:
        """One line of its log; at most 1000 are kept per job."""

    def lines(self, number: int) -> tuple[tuple[datetime, str], ...]: ...
    def trim(self, keep: int) -> None:
        """Ended jobs beyond the newest `keep` are gone with their logs."""


class Canaries(Protocol):
    def get(self, image: str, version: int) -> Canary | None: ...
    def put(self, canary: Canary) -> None:
        """Insert or replace the last trial of this version."""

    def list(self) -> Sequence[Canary]: ...
    def remove(self, image: str, version: int) -> None: ...


class Guests(Named[Guest], Protocol):
    """`update` refuses (Conflict) to write a state over a wish of a newer generation: read again then."""

    def of_lab(self, lab: str) -> tuple[Guest, ...]: ...


class Strangers(Protocol):
    def list(self) -> tuple[Stranger, ...]: ...
    def get(self, id: str) -> Stranger | None: ...
    def by_code(self, code: str) -> Stranger | None: ...
    def put(self, stranger: Stranger) -> None:
        """Insert or replace. At most 1000 are kept: the longest unseen goes."""

    def remove(self, id: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a kiosk last said of itself: never a fact."""

    terminal: str
    at: datetime
    viewer: str
    viewer_exit: int | None = None
    viewer_seconds: int | None = None
    kiosk: str = ""
    error: str = ""


class Heartbeats(Protocol):
    def put(self, beat: Heartbeat) -> None: ...
    def list(self) -> tuple[Heartbeat, ...]: ...


class Boots(Protocol):
    def get(self, terminal: str, boot_id: str) -> Boot | None: ...
    def put(self, boot: Boot) -> None:
        """Insert or replace the one with this boot id. At most 50 of a terminal are kept: the oldest go. NotFound (no such terminal)."""

    def of_terminal(self, terminal: str, last: int = 50) -> tuple[Boot, ...]:
        """The newest first."""


class Audit(Protocol):
    """Only ever appended to. Entries come back as they were sealed."""

    def add(self, entry: Entry) -> Entry:
        """The entry, cleaned, with its number and its seal. Its place in the chain is that of this unit of work among all writers."""

    def last(self, count: int, subject: str | None = None) -> tuple[Entry, ...]:
        """The newest first."""

    def find(self, wanted: Wanted, count: int, before: int | None = None) -> tuple[Entry, ...]:
        """The newest first, those with a number below `before`."""

    def after(self, number: int, count: int) -> tuple[Entry, ...]:
        """The oldest first, those with a higher number."""

    def get(self, number: int) -> Entry | None: ...
    def verbs(self) -> tuple[str, ...]:
        """Every verb there is, sorted."""

    def stump(self) -> Stump | None:
        """The newest one."""

    def old(self, older_than: datetime, keep: int) -> int:
        """The number up to which entries may be cut: all up to it are older, or more than `keep` follow. 0: none."""

    def cut(self, up_to: int, at: datetime) -> None:
        """A stump with the seal of this entry stands for it and all before it; `sweep` may take them."""

    def sweep(self, count: int) -> int:
        """At most so many entries that a stump stands for are gone; how many were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What a request with an Idempotency-Key was answered; `status` 0: it is under way in the process `process`, or that died over it.
    `mark`: the checksum of the request."""

    who: str
    key: str
    mark: str
    process: str
    at: datetime
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


class KeptAnswers(Protocol):
    def get(self, who: str, key: str) -> KeptAnswer | None: ...
    def put(self, answer: KeptAnswer) -> None:
        """Insert or replace."""

    def remove(self, who: str, key: str) -> None:
        """Absent is fine."""

    def trim(self, before: datetime) -> None:
        """Those of requests before this time are gone."""


class Facts(Protocol):
    """Small named values of the site: the hash of the set-up code, the controller's id."""

    def get(self, name: str) -> str | None: ...
    def put(self, name: str, value: str) -> None: ...
    def remove(self, name: str) -> None: ...


class Orders(Protocol):
    """Orders to terminals; the database allows one open order per terminal."""

    def add(self, order: PowerOrder) -> PowerOrder:
        """The order with its number; of each terminal the newest 20 are kept. NotFound (terminal), AlreadyExists (an open one)."""

    def get(self, number: int) -> PowerOrder | None: ...
    def open_of(self, terminal: str) -> PowerOrder | None: ...
    def open(self) -> tuple[PowerOrder, ...]: ...
    def last(self, count: int, terminal: str | None = None) -> tuple[PowerOrder, ...]:
        """The newest first."""

    def update(self, order: PowerOrder) -> None: ...


class AllPowerTimes(Protocol):
    def get(self, lab: str) -> PowerTimes | None: ...
    def list(self) -> tuple[PowerTimes, ...]: ...
    def put(self, times: PowerTimes) -> None:
        """Insert or replace. NotFound (lab)."""

    def remove(self, lab: str) -> None:
        """Absent is fine."""


class PowerPolicies(Protocol):
    def get(self, lab: str, seat: int) -> PowerPolicy | None: ...
    def of_lab(self, lab: str) -> tuple[PowerPolicy, ...]: ...
    def put(self, policy: PowerPolicy) -> None:
        """Insert or replace. NotFound (lab)."""

    def remove(self, lab: str, seat: int) -> None:
        """Absent is fine."""


class Departures(Protocol):
    def get(self, terminal: str) -> Departure | None: ...
    def list(self) -> tuple[Departure, ...]: ...
    def put(self, departure: Departure) -> None:
        """Insert or replace. NotFound (terminal)."""

    def remove(self, terminal: str) -> None:
        """Absent is fine."""


class HardwareReports(Protocol):
    def get(self, terminal: str) -> HardwareReport | None: ...
    def list(self) -> tuple[HardwareReport, ...]: ...
    def put(self, report: HardwareReport) -> None:
        """Insert or replace. NotFound (terminal)."""


class Settings(Protocol):
    """What somebody set for terminals. `subject` is empty for the site."""

    def of(self, scope: Scope, subject: str = "") -> tuple[SettingValue, ...]: ...
    def put(self, each: SettingValue) -> None:
        """Insert or replace."""

    def remove(self, scope: Scope, subject: str, key: str | None = None) -> int:
        """One key, or all of this subject; how many were set. Absent is fine."""


class Rooms(Protocol):
    """Rooms of labs, and the places that somebody gave to seats."""

    def of_lab(self, lab: str) -> tuple[Room, ...]:
        """By position, then name."""

    def put(self, room: Room) -> None:
        """Insert or replace. NotFound (lab)."""

    def remove(self, lab: str, name: str) -> int:
        """The room and the places in it; how many rooms there were. Absent is fine."""

    def places(self, lab: str) -> tuple[SeatPlace, ...]: ...
    def place(self, place: SeatPlace) -> None:
        """Insert or replace. NotFound (lab)."""


class Pools(Protocol):
    """Warm pools; one goes with its lab or profile."""

    def get(self, lab: str, profile: str) -> Pool | None: ...
    def of_lab(self, lab: str) -> tuple[Pool, ...]:
        """By profile."""

    def list(self) -> tuple[Pool, ...]:
        """By lab, then profile."""

    def put(self, pool: Pool) -> None:
        """Insert or replace. NotFound (lab, profile)."""

    def remove(self, lab: str, profile: str) -> bool:
        """Was there one?"""


class Spares(Protocol):
    """Runs that wait for their seats; the engine alone writes them. They outlive lab and profile: their folders do, too."""

    def get(self, guest: str) -> Spare | None: ...
    def list(self) -> tuple[Spare, ...]:
        """By guest."""

    def put(self, spare: Spare) -> None:
        """Insert, or replace that of the same guest."""

    def remove(self, guest: str) -> None:
        """Absent is fine."""


class Messages(Protocol):
    """At most one for each guest; they go with it."""

    def get(self, guest: str) -> Message | None: ...
    def put(self, message: Message) -> None:
        """Insert or replace. NotFound when there is no such guest."""


class UnitOfWork(Protocol):
    @property
    def labs(self) -> Labs: ...
    @property
    def terminals(self) -> Terminals: ...
    @property
    def classes(self) -> Named[TerminalClass]: ...
    @property
    def profiles(self) -> Named[Profile]: ...
    @property
    def images(self) -> Images: ...
    @property
    def drafts(self) -> Drafts: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def canaries(self) -> Canaries: ...
    @property
    def hosts(self) -> Named[Host]: ...
    @property
    def guests(self) -> Guests: ...
    @property
    def strangers(self) -> Strangers: ...
    @property
    def heartbeats(self) -> Heartbeats: ...
    @property
    def boots(self) -> Boots: ...
    @property
    def orders(self) -> Orders: ...
    @property
    def power_times(self) -> AllPowerTimes: ...
    @property
    def power_policies(self) -> PowerPolicies: ...
    @property
    def departures(self) -> Departures: ...
    @property
    def hardware(self) -> HardwareReports: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def facts(self) -> Facts: ...
    @property
    def answers(self) -> KeptAnswers: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def pools(self) -> Pools: ...
    @property
    def spares(self) -> Spares: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def people(self) -> People: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def sign_ins(self) -> SignIns: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def rooms(self) -> Rooms: ...

    def commit(self) -> None:
        """Durable when this returns (synchronous=FULL); the unit of work is over then: nothing more can be read or written in it.
        Raises DatabaseError; then nothing was changed."""


class Database(Protocol):
    def write(self) -> AbstractContextManager[UnitOfWork]:
        """A unit of work that holds the writer's lock from the start (BEGIN IMMEDIATE), so that what it reads stays true until `commit`.
        Raises DatabaseError when the lock is not to be had within 5 s."""

    def read(self) -> AbstractContextManager[UnitOfWork]:
        """A consistent view; `commit` raises."""

    def copy(self, target: Path) -> None:
        """`target`, which must not exist, is a database with everything that is committed now (0600). Writers go on meanwhile. Raises
        DatabaseError, then `target` may be there in part."""

    def close(self) -> None: ...
