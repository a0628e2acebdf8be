# SPDX-License-Identifier: MIT
"""The doors to what is kept of people. A part of the unit of work (contracts/database.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from labvirt.domain.person import ApiToken, Group, Person, SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What proves that somebody is this person. Never shown to anybody.

    `password` is its argon2id hash, '' when there is none; `totp` the key of the phone (base32), '' without; `totp_new` one that the phone
    has not shown a code of yet; `totp_step` the newest time step whose code was used: none up to it is taken again; `recovery` hashes of
    unused codes.
    """

    person: str
    password: str = ""
    password_at: datetime | None = None
    totp: str = ""
    totp_new: str = ""
    totp_step: int = 0
    recovery: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Secrets({self.person!r})"


class People(Protocol):
    """Persons come with what their groups grant. Removing one removes their secrets, sign-ins and tokens."""

    def get(self, name: str) -> Person | None: ...
    def one(self, name: str) -> Person: ...
    def list(self) -> tuple[Person, ...]: ...
    def add(self, item: Person) -> None:
        """AlreadyExists; NotFound for a lab or a group that is not there."""

    def update(self, item: Person) -> None: ...
    def remove(self, name: str) -> None: ...
    def secrets(self, name: str) -> Secrets:
        """Empty ones when nothing is kept."""

    def put_secrets(self, secrets: Secrets) -> None:
        """NotFound when there is no such person."""


class SignIns(Protocol):
    """Found by the hash of their token alone."""

    def by_token(self, hashed: str) -> SignIn | None: ...
    def get(self, id: str) -> SignIn | None: ...
    def of(self, person: str | None = None) -> tuple[SignIn, ...]:
        """Of this person, or of everybody; the newest first."""

    def add(self, sign_in: SignIn, hashed: str) -> None:
        """Of a person and of 'shell' at most 100 are kept: the one that was not seen for the longest time goes."""

    def update(self, sign_in: SignIn) -> None:
        """Absent is fine: it was ended meanwhile."""

    def remove(self, id: str) -> None:
        """Absent is fine."""

    def remove_of(self, person: str, *, but: str = "") -> int:
        """All of this person are gone, except for the one with this id; how many were."""


class Tokens(Protocol):
    """API tokens, found by their hash."""

    def by_token(self, hashed: str) -> ApiToken | None: ...
    def get(self, id: str) -> ApiToken | None: ...
    def of(self, person: str | None = None) -> tuple[ApiToken, ...]:
        """By person and name."""

    def add(self, token: ApiToken, hashed: str) -> None:
        """AlreadyExists when this person has one of this name."""

    def update(self, token: ApiToken) -> None: ...
    def remove(self, id: str) -> None: ...


class Groups(Protocol):
    def get(self, name: str) -> Group | None: ...
    def one(self, name: str) -> Group: ...
    def list(self) -> tuple[Group, ...]: ...
    def add(self, item: Group) -> None: ...
    def update(self, item: Group) -> None: ...
    def remove(self, name: str) -> None:
        """Its members keep what is their own."""

    def members(self, name: str) -> tuple[str, ...]: ...
