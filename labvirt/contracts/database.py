# SPDX-License-Identifier: MIT
"""The door to wishes and history. One unit of work is one transaction: leaving it without `commit` changes nothing.

Repositories return domain values only. Adding a thing that exists raises AlreadyExists that names what collides (name, MAC, seat, block,
network); missing ones give None from `get` and NotFound from `one`. Lists come sorted by name.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from labvirt.domain.addresses import MacAddress
from labvirt.domain.guest import Guest
from labvirt.domain.host import Host
from labvirt.domain.image import Image, Version
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Profile
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
    def publish(self, image: str, number: int, *, expected: int | None) -> None:
        """Move the pointer if it is still `expected`; Conflict otherwise."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One line of what happened, for people."""

    at: datetime
    subject: str
    what: str


class Heartbeats(Protocol):
    def put(self, beat: Heartbeat) -> None: ...
    def list(self) -> tuple[Heartbeat, ...]: ...


class History(Protocol):
    def add(self, entry: HistoryEntry) -> None: ...
    def last(self, count: int, subject: str | None = None) -> tuple[HistoryEntry, ...]: ...


class Facts(Protocol):
    """Small named values of the site: the hash of the set-up code, the controller's id."""

    def get(self, name: str) -> str | None: ...
    def put(self, name: str, value: str) -> None: ...
    def remove(self, name: str) -> None: ...


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
    def hosts(self) -> Named[Host]: ...
    @property
    def guests(self) -> Guests: ...
    @property
    def strangers(self) -> Strangers: ...
    @property
    def heartbeats(self) -> Heartbeats: ...
    @property
    def history(self) -> History: ...
    @property
    def facts(self) -> Facts: ...

    def commit(self) -> None:
        """Durable when this returns (synchronous=FULL); the unit of work is over then: nothing more can be read or written in it.
        Raises DatabaseError; then nothing was changed."""


class Database(Protocol):
    def write(self) -> AbstractContextManager[UnitOfWork]:
        """A unit of work that holds the writer's lock from the start (BEGIN IMMEDIATE), so that what it reads stays true until `commit`.
        Raises DatabaseError when the lock is not to be had within 5 s."""

    def read(self) -> AbstractContextManager[UnitOfWork]:
        """A consistent view; `commit` raises."""

    def close(self) -> None: ...
