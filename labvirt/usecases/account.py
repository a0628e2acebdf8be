# SPDX-License-Identifier: MIT
"""One's own account: the password, the phone, the browsers that are signed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labvirt.domain.person import SHELL, Person, SignIn
from labvirt.errors import Conflict, InvalidInput, NotSignedIn
from labvirt.usecases import passwords, people, phone
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import enrolling, own

SITE_NAME = "LabVirt"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """`person` None: the administrator of the shell, who has no account. `pending`: a phone was shown a key and has not answered yet."""

    person: Person | None
    sign_ins: tuple[SignIn, ...]
    pending: bool
    recovery_left: int


@enrolling
def view(ports: Ports) -> AccountView:
    """Raises NotSignedIn."""
    name = _me(ports)
    with ports.database.read() as work:
        kept = work.people.secrets(name)
        return AccountView(
            person=work.people.get(name),
            sign_ins=people.living(work, ports, name),
            pending=bool(kept.totp_new),
            recovery_left=len(kept.recovery),
        )


@own
def change_password(ports: Ports, new: str) -> None:
    """The person has a new password; their other sign-ins have ended. Raises InvalidInput, MustConfirm (the old one was not given
    lately)."""
    people.confirmed(ports)
    person = _person(ports)
    hashed = passwords.hashed(passwords.checked(new, names=(person.name, person.full_name)))
    with ports.database.write() as work:
        kept = work.people.secrets(person.name)
        work.people.put_secrets(replace(kept, password=hashed, password_at=ports.clock.now()))
        work.sign_ins.remove_of(person.name, but=ports.caller.sign_in)
        ports.note(work, person.name, "changed the password; other sign-ins ended")
        work.commit()


@enrolling
def begin_phone(ports: Ports) -> None:
    """A key for a phone waits to be read (`phone_key`); nothing else has changed yet. Raises MustConfirm, Conflict (there is one)."""
    people.confirmed(ports)
    person = _person(ports)
    if person.totp:
        raise Conflict("A phone is asked for already.", hint="Take it off first.")
    with ports.database.write() as work:
        work.people.put_secrets(replace(work.people.secrets(person.name), totp_new=phone.new_key()))
        work.commit()


@enrolling
def phone_key(ports: Ports) -> tuple[str, str]:
    """The key that waits, and its otpauth: address. Raises MustConfirm, Conflict (none waits)."""
    people.confirmed(ports)
    person = _person(ports)
    with ports.database.read() as work:
        key = work.people.secrets(person.name).totp_new
    if not key:
        raise Conflict("No key waits for a phone.", hint="Begin on the page of your account.")
    return key, phone.address(key, person.name, SITE_NAME)


@enrolling
def finish_phone(ports: Ports, code: str) -> tuple[str, ...]:
    """The phone is asked for from now on; gives the recovery codes, which are shown once. Raises InvalidInput (not the code of now),
    MustConfirm, Conflict (no key waits)."""
    key, _ = phone_key(ports)
    person = _person(ports)
    step = phone.step_of(key, code[:16], ports.clock.now(), after=0)
    if step is None:
        raise InvalidInput("code", "is not the one that the phone shows now", hint="Is the clock of the phone right?")
    spare = phone.new_recovery()
    with ports.database.write() as work:
        kept = work.people.secrets(person.name)
        hashes = tuple(phone.recovery_hash(each) for each in spare)
        work.people.put_secrets(replace(kept, totp=key, totp_new="", totp_step=step, recovery=hashes))
        work.sign_ins.remove_of(person.name, but=ports.caller.sign_in)
        ports.note(work, person.name, "a phone is asked for from now on; other sign-ins ended")
        work.commit()
    return spare


@own
def forget_phone(ports: Ports) -> None:
    """The password alone is asked for. Raises MustConfirm."""
    people.confirmed(ports)
    person = _person(ports)
    with ports.database.write() as work:
        work.people.put_secrets(replace(work.people.secrets(person.name), totp="", totp_new="", recovery=()))
        ports.note(work, person.name, "took the phone off")
        work.commit()


def _me(ports: Ports) -> str:
    if not ports.caller.person:
        raise NotSignedIn
    return ports.caller.person


def _person(ports: Ports) -> Person:
    name = _me(ports)
    if name == SHELL:
        raise Conflict("The administrator of the shell has no account.", hint="Make yourself one, then sign in with it.")
    with ports.database.read() as work:
        return work.people.one(name)
