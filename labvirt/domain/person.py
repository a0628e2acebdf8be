# SPDX-License-Identifier: MIT
"""People, the groups that give them rights together, their sign-ins and their programs' tokens. Secrets are no part of these values."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from labvirt.domain.caller import Grant
from labvirt.domain.names import check_name, one_line
from labvirt.domain.right import Right, Role
from labvirt.errors import InvalidInput

SHELL = "shell"
"""The administrator that somebody with a shell on the controller signs in as (labvirt code). Nobody else may have this name."""
RESERVED = frozenset({SHELL, "labvirt", "nobody", "machine", "terminal"})
FULL_NAME_LENGTH = 80

IDLE = timedelta(minutes=30)
"""A sign-in in which nobody did anything for so long has ended (OWASP ASVS 5.0, 7.3.1)."""
ABSOLUTE, ABSOLUTE_ADMINISTRATOR = timedelta(hours=12), timedelta(hours=4)
"""After so long a sign-in has ended, whatever was done in it (7.3.2)."""
HALF = timedelta(minutes=5)
"""So long the second step (the code of the phone) is waited for."""
CONFIRMED = timedelta(minutes=10)
"""So long after somebody gave their password may they change roles and passwords (7.5.1)."""
TOKEN_DAYS, TOKEN_DAYS_MOST = 90, 366

PASSWORD_SHORTEST, PASSWORD_RECOMMENDED, PASSWORD_LONGEST = 8, 15, 128
"""In characters (6.2.1, 6.2.9). No rule says of which kind (6.2.5)."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?\Z", re.ASCII)


def check_person_name(value: object, field: str = "name") -> str:
    """`value` in small letters if it may be how somebody signs in: as campus directories write it ('anna', 'anna.novak@uni.example').
    Raises InvalidInput."""
    if not isinstance(value, str) or not _NAME.match(value.strip().lower()):
        raise InvalidInput(
            field,
            "must be 1 to 64 characters of a-z, 0-9 and . _ @ + -, beginning and ending with a letter or digit",
            hint="Example: anna.novak",
        )
    name = value.strip().lower()
    if name in RESERVED:
        raise InvalidInput(field, f"{name} is a name that LabVirt uses itself", hint="Choose another one.")
    return name


def check_password(value: object, field: str = "password") -> str:
    """`value` in the form in which it is hashed (NFC), if its length is right. Raises InvalidInput; its text never shows the password."""
    if not isinstance(value, str):
        raise InvalidInput(field, "must be text")
    normal = unicodedata.normalize("NFC", value)
    if not PASSWORD_SHORTEST <= len(normal) <= PASSWORD_LONGEST:
        raise InvalidInput(
            field,
            f"must have {PASSWORD_SHORTEST} to {PASSWORD_LONGEST} characters",
            hint=f"{PASSWORD_RECOMMENDED} or more are recommended: some words in a row.",
        )
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in normal):
        raise InvalidInput(field, "must not contain control characters")
    return normal


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What its members may do together with what each of them may do."""

    name: str
    note: str = ""
    grants: tuple[Grant, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "group")
        object.__setattr__(self, "note", one_line(self.note))
        object.__setattr__(self, "grants", ordered(self.grants))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`own` are their grants, `groups` where they are a member, `given` what those groups grant (filled when read, never written).
    `has_password` is False for who comes through the campus's single sign-on only; `totp` says that a phone's code is asked for too."""

    name: str
    made_at: datetime
    full_name: str = ""
    active: bool = True
    own: tuple[Grant, ...] = ()
    groups: tuple[str, ...] = ()
    given: tuple[Grant, ...] = ()
    has_password: bool = False
    totp: bool = False

    def __post_init__(self) -> None:
        check_person_name(self.name)
        object.__setattr__(self, "full_name", one_line(self.full_name, FULL_NAME_LENGTH))
        object.__setattr__(self, "own", ordered(self.own))
        object.__setattr__(self, "given", ordered(self.given))
        object.__setattr__(self, "groups", tuple(sorted(set(self.groups))))

    @property
    def grants(self) -> tuple[Grant, ...]:
        """Everything they have, from themselves and from their groups."""
        return ordered((*self.own, *self.given))

    @property
    def administers(self) -> bool:
        """Is this somebody who can mend everybody's rights?"""
        return self.active and any(grant.gives(Right.SITE, None) for grant in self.grants)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One browser of one person. `id` is shown and no secret; the token that proves it is kept as a hash only. `whole` is False between
    the password and the phone's code. `person` may be SHELL."""

    id: str
    person: str
    whole: bool
    address: str
    agent: str
    made_at: datetime
    seen_at: datetime
    confirmed_at: datetime | None = None
    """When the password was given last in it."""

    def ends_at(self, *, administrator: bool) -> datetime:
        """When it ends if nothing is done any more."""
        if not self.whole:
            return self.made_at + HALF
        return min(self.seen_at + IDLE, self.made_at + (ABSOLUTE_ADMINISTRATOR if administrator else ABSOLUTE))

    def confirmed(self, now: datetime) -> bool:
        return self.confirmed_at is not None and now - self.confirmed_at <= CONFIRMED


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """What a program of a person signs itself with. `rights` is all that it may use of what its person may; None: everything. `made_by`:
    the token that made it, with which it is taken back."""

    id: str
    person: str
    name: str
    rights: frozenset[Right] | None
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    made_by: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "name")


def ordered(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Each once, the site's first, then by lab, in the order of the roles."""
    roles = tuple(Role)
    return tuple(sorted(set(grants), key=lambda grant: (grant.lab is not None, grant.lab or "", roles.index(grant.role))))


def parse_grant(text: str, field: str = "grant") -> Grant:
    """'teacher', 'teacher:lab-a'. Raises InvalidInput."""
    word, colon, lab = text.partition(":")
    if word not in tuple(Role):
        raise InvalidInput(
            field, f"the role must be one of {', '.join(Role)}", hint="Write ROLE for the whole site or ROLE:LAB for one lab."
        )
    return Grant(Role(word), check_name(lab, field) if colon else None)


def grant_text(grant: Grant) -> str:
    """As `parse_grant` reads it."""
    return f"{grant.role}:{grant.lab}" if grant.lab is not None else str(grant.role)
