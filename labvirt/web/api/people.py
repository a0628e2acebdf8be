# SPDX-License-Identifier: MIT
"""/people: who may sign in, what they may do, and where they are signed in. For who looks after the site."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field

from labvirt import shapes
from labvirt.domain.person import FULL_NAME_LENGTH, Person, SignIn
from labvirt.domain.second_factor import Demand
from labvirt.usecases import people, second_factor
from labvirt.usecases import sign_in as signing
from labvirt.usecases.ports import Ports
from labvirt.usecases.second_factor import SecondFactor
from labvirt.web.api import grants
from labvirt.web.api.grants import Grants
from labvirt.web.api.model import Answered, Name, Password, Shape, Told
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("people", "Who may sign in, and what they may do.")
sign_ins_noun = Noun("sign_ins", "Browsers that are signed in.")

FullName = Annotated[str, Field(max_length=FULL_NAME_LENGTH, description="As people write it.")]
Groups = Annotated[list[Name], Field(max_length=200, description="All of them anew.")]


class PersonTold(Answered):
    """A person. `grants` are their own, `from_groups` what their groups give; `phone`: a code is asked for beside the password."""

    name: str
    full_name: str
    active: bool
    grants: list[str]
    groups: list[str]
    from_groups: list[str]
    password: bool
    phone: bool
    made_at: datetime


class SignInTold(Answered):
    """One browser."""

    id: str
    address: str
    agent: str
    made_at: datetime
    seen_at: datetime


class SignedOut(Answered):
    """Which sign-ins have ended."""

    ended: list[SignInTold]


class SecondFactorTold(Answered):
    """Of whom a second factor is asked, and who signs in with a password alone: administrators of the site, and all others."""

    demand: Demand
    administrators: list[str]
    others: list[str]
    lacking: Annotated[list[str], Field(description="Those of them who can only set one up.")]


class SecondFactorChange(Told):
    """Of whom it is asked."""

    demand: Demand


class PersonChange(Told):
    """Fields of a person."""

    full_name: FullName = ""
    active: bool = True
    grants: Grants = []
    groups: Groups = []


class PersonNew(Told):
    """A new person. Without a password: only through the campus's sign-on."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="How they sign in.")]
    full_name: FullName = ""
    password: Annotated[Password | None, Field(json_schema_extra={"writeOnly": True})] = None
    grants: Grants = []
    groups: Groups = []


class PasswordNew(Told):
    """A new password."""

    password: Password


PERSON = Shape(PersonTold, lambda ports, each: shapes.person(each))
SIGN_IN = Shape(SignInTold, lambda ports, each: shapes.sign_in(each))
SECOND_FACTOR = Shape(SecondFactorTold, lambda ports, seen: shapes.second_factor(seen))
SIGNED_OUT = Shape(SignedOut, lambda ports, ended: {"ended": [shapes.sign_in(each) for each in ended]})


@noun.get("/people", Many(PERSON, key=lambda each: each.name), cli="person list")
def list_(ports: Ports, asked: Paged) -> tuple[Person, ...]:
    """Everybody."""
    return people.everything(ports)


@noun.get("/people/{person}", PERSON, cli="person show")
def show(ports: Ports, person: str) -> Person:
    """One person."""
    return people.one(ports, person).person


@noun.post("/people", PERSON, status=HTTPStatus.CREATED, cli="person add")
def add(ports: Ports, told: PersonNew) -> Person:
    """A new person, who may sign in at once."""
    return people.add(ports, **_read(told))


@noun.patch("/people/{person}", PERSON, guarded_by="people_show", cli="person set")
def change(ports: Ports, person: str, told: PersonChange) -> Person:
    """Change a person; it counts from their next request on.

    Who is not active any more has no sign-in, at once. The last administrator stays one."""
    return people.change(ports, person, **_read(told))


@noun.delete("/people/{person}", guarded_by="people_show", cli="person remove")
def remove(ports: Ports, person: str) -> None:
    """Remove a person, with sign-ins and tokens."""
    people.remove(ports, person)


@noun.put("/people/{person}/password", PERSON, cli="person password")
def set_password(ports: Ports, person: str, told: PasswordNew) -> Person:
    """A new password; all their sign-ins end."""
    return people.set_password(ports, person, told.password)


@noun.delete("/people/{person}/phone", PERSON, cli="person forget-phone")
def forget_phone(ports: Ports, person: str) -> Person:
    """The password alone is asked for: for whoever lost the phone and the recovery codes."""
    return people.forget_phone(ports, person)


@noun.get("/people/{person}/sign-ins", Many(SIGN_IN, key=lambda each: each.id), cli="person show")
def sign_ins(ports: Ports, person: str, asked: Paged) -> tuple[SignIn, ...]:
    """Where they are signed in."""
    return people.one(ports, person).sign_ins


@noun.delete("/people/{person}/sign-ins", SIGNED_OUT, cli="person sign-out")
def sign_out(ports: Ports, person: str) -> tuple[SignIn, ...]:
    """All browsers of this person are signed out."""
    return people.sign_out(ports, person)


@sign_ins_noun.delete("/sign-ins/{sign_in}", SIGN_IN)
def end(ports: Ports, sign_in: str) -> SignIn:
    """One browser is signed out: one's own, or anybody's for who looks after the site."""
    return signing.end(ports, sign_in)


def _read(told: PersonNew | PersonChange) -> dict[str, Any]:
    given = told.given()
    return given | {"grants": grants.read(given["grants"])} if "grants" in given else given


@noun.get("/second-factor", SECOND_FACTOR, cli="person second-factor")
def second_factor_of(ports: Ports) -> SecondFactor:
    """Of whom a second factor is asked beside the password, and who has none."""
    return second_factor.show(ports)


@noun.put("/second-factor", SECOND_FACTOR, guarded_by="people_second_factor_of", cli="person second-factor")
def set_second_factor(ports: Ports, told: SecondFactorChange) -> SecondFactor:
    """Ask it of these from now on, also of who is signed in. Who must have one and has none can only set up a phone.

    Not asked: whom the campus's sign-on vouches for, tokens of programs, and who came with a code of `labvirt code`."""
    return second_factor.require(ports, told.demand)
