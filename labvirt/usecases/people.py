# SPDX-License-Identifier: MIT
"""People: added, changed and removed by an administrator. The last administrator stays.

A browser's person who changes roles or passwords gave their password within the last ten minutes (`confirmed`); the command line did
something stronger: it read the state folder.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.caller import CallerKind, Grant
from labvirt.domain.person import Person, SignIn, check_person_name, grant_text
from labvirt.domain.right import RIGHTS, Right
from labvirt.errors import Conflict, InvalidInput, MustConfirm, NotAllowed
from labvirt.usecases import passwords
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs
from labvirt.usecases.setup import USERS_FACT


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """A person with their living sign-ins."""

    person: Person
    sign_ins: tuple[SignIn, ...]


@needs(Right.SITE, site=True)
def everything(ports: Ports) -> tuple[Person, ...]:
    """By name."""
    with ports.database.read() as work:
        return work.people.list()


@needs(Right.SITE, site=True)
def one(ports: Ports, name: str) -> PersonView:
    """Raises NotFound."""
    with ports.database.read() as work:
        person = work.people.one(name)
        return PersonView(person=person, sign_ins=living(work, ports, person.name))


@needs(Right.SITE, site=True)
def add(
    ports: Ports,
    name: str,
    *,
    full_name: str = "",
    password: str | None = None,
    grants: Collection[Grant] = (),
    groups: Collection[str] = (),
) -> Person:
    """A new person, who may sign in at once; without a password only through the campus's sign-on. Raises InvalidInput, AlreadyExists,
    NotFound (a lab or group), MustConfirm."""
    confirmed(ports)
    name = check_person_name(name)
    hashed = None if password is None else passwords.hashed(passwords.checked(password, names=(name, full_name)))
    with ports.database.write() as work:
        person = insert(ports, work, name, full_name=full_name, hashed=hashed, grants=check_grants(grants), groups=tuple(groups))
        ports.note(work, name, f"person added by {ports.caller.name}: {_rights_words(person)}")
        work.commit()
    return person


@needs(Right.SITE, site=True)
def change(
    ports: Ports,
    name: str,
    *,
    full_name: str | None = None,
    active: bool | None = None,
    grants: Collection[Grant] | None = None,
    groups: Collection[str] | None = None,
) -> Person:
    """The person with what is not None replaced. Who is not active has no sign-in any more, at once. Raises NotFound, MustConfirm,
    Conflict (nobody would be an administrator any more)."""
    confirmed(ports)
    with ports.database.write() as work:
        old = work.people.one(name)
        new = replace(
            old,
            full_name=old.full_name if full_name is None else full_name,
            active=old.active if active is None else active,
            own=old.own if grants is None else check_grants(grants),
            groups=old.groups if groups is None else tuple(groups),
        )
        for group in new.groups:
            work.groups.one(group)
        work.people.update(new)
        new = work.people.one(name)
        somebody_administers(work, old.administers)
        if not new.active:
            work.sign_ins.remove_of(name)
        ports.note(work, name, f"person changed by {ports.caller.name}: {'active' if new.active else 'not active'}, {_rights_words(new)}")
        work.commit()
    return new


@needs(Right.SITE, site=True)
def remove(ports: Ports, name: str) -> Person:
    """The person is gone, with sign-ins and tokens. Raises NotFound, MustConfirm, Conflict (the last administrator)."""
    confirmed(ports)
    with ports.database.write() as work:
        old = work.people.one(name)
        work.people.remove(name)
        somebody_administers(work, old.administers)
        ports.note(work, name, f"person removed by {ports.caller.name}")
        work.commit()
    return old


@needs(Right.SITE, site=True)
def set_password(ports: Ports, name: str, password: str) -> Person:
    """The person has this password, and no sign-in any more. Raises NotFound, InvalidInput, MustConfirm."""
    confirmed(ports)
    with ports.database.read() as work:
        person = work.people.one(name)
    hashed = passwords.hashed(passwords.checked(password, names=(person.name, person.full_name)))
    with ports.database.write() as work:
        secrets = work.people.secrets(work.people.one(name).name)
        work.people.put_secrets(replace(secrets, password=hashed, password_at=ports.clock.now()))
        work.sign_ins.remove_of(name)
        ports.note(work, name, f"password set by {ports.caller.name}; all sign-ins ended")
        person = work.people.one(name)
        work.commit()
    return person


@needs(Right.SITE, site=True)
def forget_phone(ports: Ports, name: str) -> Person:
    """The person signs in with the password alone: for whoever lost the phone and the recovery codes. Raises NotFound, MustConfirm."""
    confirmed(ports)
    with ports.database.write() as work:
        work.people.one(name)
        work.people.put_secrets(replace(work.people.secrets(name), totp="", recovery=()))
        work.sign_ins.remove_of(name)
        ports.note(work, name, f"second factor taken off by {ports.caller.name}; all sign-ins ended")
        person = work.people.one(name)
        work.commit()
    return person


@needs(Right.SITE, site=True)
def sign_out(ports: Ports, name: str) -> tuple[SignIn, ...]:
    """All sign-ins of this person have ended; gives those that were good until now. Raises NotFound, MustConfirm."""
    confirmed(ports)
    with ports.database.write() as work:
        ended = living(work, ports, work.people.one(name).name)
        work.sign_ins.remove_of(name)
        ports.note(work, name, f"all sign-ins ended by {ports.caller.name}", verb="sign-out", noun="person")
        work.commit()
    return ended


def insert(
    ports: Ports,
    work: UnitOfWork,
    name: str,
    *,
    full_name: str,
    hashed: str | None,
    grants: tuple[Grant, ...],
    groups: tuple[str, ...],
) -> Person:
    """A new person in this unit of work; there is no set-up code any more. Raises AlreadyExists, NotFound."""
    for grant in grants:
        if grant.lab is not None:
            work.labs.one(grant.lab)
    for group in groups:
        work.groups.one(group)
    work.people.add(Person(name=name, full_name=full_name, made_at=ports.clock.now(), own=grants, groups=groups))
    if hashed is not None:
        work.people.put_secrets(replace(work.people.secrets(name), password=hashed, password_at=ports.clock.now()))
    if work.facts.get(USERS_FACT) is None and any(grant.gives(Right.SITE, None) for grant in grants):
        work.facts.put(USERS_FACT, "yes")
    return work.people.one(name)


def somebody_administers(work: UnitOfWork, before: bool = True) -> None:
    """Raises Conflict when in this unit of work nobody is an active administrator of the site any more, though there was one."""
    if before and not any(person.administers for person in work.people.list()):
        raise Conflict("This is the last administrator.", hint="Make somebody else one first.")


def confirmed(ports: Ports) -> None:
    """Raises MustConfirm when it is a browser in which no password was given lately, NotAllowed for a program's token that does not name
    the right to change people."""
    caller = ports.caller
    if caller.kind is CallerKind.MACHINE or caller.tends_people:
        return
    if caller.kind is not CallerKind.PERSON:
        raise NotAllowed(
            "This token cannot change people or passwords.",
            hint="Use a browser, the command line on the controller, or a token made with --right site --right people.",
        )
    with ports.database.read() as work:
        sign_in = work.sign_ins.get(caller.sign_in)
    if sign_in is None or not sign_in.confirmed(ports.clock.now()):
        raise MustConfirm()


def lately(ports: Ports) -> None:
    """For what whole classes feel and what cannot be taken back. Raises MustConfirm when it is a browser in which no password was given
    lately. Programs have a right that was given them for it, and whom the campus vouches for has no password of ours."""
    caller = ports.caller
    if caller.kind is CallerKind.PERSON and not caller.is_vouched_for:
        confirmed(ports)


def living(work: UnitOfWork, ports: Ports, name: str) -> tuple[SignIn, ...]:
    """The sign-ins of this person that are good now, the newest first."""
    person = work.people.get(name)
    administers = person is None or person.administers
    return tuple(each for each in work.sign_ins.of(name) if each.whole and ports.clock.now() < each.ends_at(administrator=administers))


def check_grants(grants: Collection[Grant]) -> tuple[Grant, ...]:
    """An administrator of one lab would have no more than its lab manager: said, not guessed at. Raises InvalidInput."""
    for grant in grants:
        if grant.lab is not None and Right.SITE in RIGHTS[grant.role]:
            raise InvalidInput("grant", "an administrator is one of the whole site", hint=f"For one lab: lab-manager:{grant.lab}")
    return tuple(grants)


def _rights_words(person: Person) -> str:
    words = [*map(grant_text, person.own), *(f"group {group}" for group in person.groups)]
    return ", ".join(words) or "no rights"
