# SPDX-License-Identifier: MIT
"""The door: who somebody is, proved by a one-time code, by name and password, and by a phone's code; and whom a cookie stands for.

What a browser keeps is a random token of 256 bits; the database knows its hash. Who guesses hears one sentence after equal work, whether or
not there is such a person, and is slowed per source (attempts.py).
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import unicodedata
from dataclasses import dataclass, replace
from datetime import timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.audit import Outcome
from labvirt.domain.caller import Caller, CallerKind, Grant
from labvirt.domain.names import one_line
from labvirt.domain.person import SHELL, SignIn, check_person_name
from labvirt.domain.right import Right, Role
from labvirt.errors import DatabaseError, InvalidInput, NotAllowed, NotFound, NotSignedIn
from labvirt.usecases import passwords, people, phone, second_factor, setup
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import enrolling, own_or_tended

log = logging.getLogger(__name__)

TOKEN_BYTES, ID_BYTES = 32, 8
SEEN_EVERY = timedelta(seconds=60)
"""So often it is written down that a sign-in is used."""
AGENT_LENGTH, LONGEST_SECRET = 80, 256
EVERYTHING = (Grant(Role.ADMINISTRATOR),)

WRONG = "The name or the password is wrong."
WRONG_HINT = "If it is forgotten: an administrator can set a new one, and on the controller labvirt code opens the pages once."


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """Who knocks: address of the browser, what it calls itself, and the token it had before ('' for none), which is void afterwards."""

    address: str
    agent: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A sign-in that was just made; `token` is the browser's secret, seen nowhere else."""

    sign_in: SignIn
    token: str

    def __repr__(self) -> str:
        return f"Opened({self.sign_in!r})"


def first(ports: Ports, code: str, name: str, password: str, *, full_name: str = "", who: From) -> Opened:
    """The first administrator, made with the set-up code, is signed in. Raises NotAllowed (the code), TooManyRequests, InvalidInput."""
    ports.attempts.step(who.address, "", ports.clock.monotonic())
    known = setup.known(ports, code[:LONGEST_SECRET])
    if not known.first:
        raise InvalidInput("code", "is no set-up code", hint="This one signs in as it is, without a name.")
    name = check_person_name(name)
    hashed = passwords.hashed(passwords.checked(password, names=(name, full_name)))
    with ports.database.write() as work:
        setup.spend(work, known)
        people.insert(ports, work, name, full_name=full_name, hashed=hashed, grants=EVERYTHING, groups=())
        ports.note(
            work,
            name,
            f"first administrator made with the set-up code from {who.address}",
            verb="add",
            noun="person",
            by=_at_door(name, who),
        )
        opened = _opened(ports, work, name, who, whole=True)
        work.commit()
    ports.attempts.succeeded(who.address, "")
    return opened


def by_code(ports: Ports, code: str, *, who: From) -> Opened:
    """Somebody with a shell on the controller is signed in as its administrator. Raises NotAllowed, TooManyRequests, InvalidInput (this
    is the set-up code, and a name must be chosen)."""
    ports.attempts.step(who.address, "", ports.clock.monotonic())
    known = setup.known(ports, code[:LONGEST_SECRET])
    if known.first:
        raise InvalidInput("name", "must be chosen, and a password", hint="This is the set-up code: it makes the first administrator.")
    with ports.database.write() as work:
        setup.spend(work, known)
        opened = _opened(ports, work, SHELL, who, whole=True)
        ports.note(
            work,
            SHELL,
            f"signed in with a code of the command line from {who.address}",
            verb="sign-in",
            noun="person",
            by=_at_door(SHELL, who),
        )
        work.commit()
    ports.attempts.succeeded(who.address, "")
    return opened


def with_password(ports: Ports, name: str, password: str, *, who: From) -> Opened:
    """This person is signed in; or half (`whole` False), when a phone's code is needed too: `with_phone`. Raises NotSignedIn,
    TooManyRequests, Exhausted."""
    asked = one_line(name.strip().lower(), 64)
    ports.attempts.step(who.address, asked, ports.clock.monotonic())
    with ports.database.read() as work:
        person, kept = work.people.get(asked), work.people.secrets(asked)
    good = passwords.matches(kept.password, _as_hashed(password))
    if not good or person is None or not person.active:
        _failed(ports, asked, who)
        raise NotSignedIn(WRONG, hint=WRONG_HINT)
    again = passwords.hashed(_as_hashed(password)) if passwords.is_old(kept.password) else kept.password
    with ports.database.write() as work:
        now = work.people.get(person.name)
        if now is None or not now.active or work.people.secrets(person.name).password != kept.password:
            raise NotSignedIn(WRONG, hint=WRONG_HINT)
        if again != kept.password:
            work.people.put_secrets(replace(work.people.secrets(person.name), password=again))
        opened = _opened(ports, work, person.name, who, whole=not person.totp)
        if opened.sign_in.whole:
            ports.note(work, person.name, f"signed in from {who.address}", verb="sign-in", noun="person", by=_at_door(person.name, who))
        work.commit()
    if opened.sign_in.whole:
        ports.attempts.succeeded(who.address, asked)
    return opened


def with_phone(ports: Ports, code: str, *, who: From) -> Opened:
    """The half sign-in of this token is a whole one, with a new token. A recovery code does too, once. Raises NotSignedIn (no half sign-in,
    or it took too long: begin again), NotAllowed (the code), TooManyRequests."""
    now = ports.clock.now()
    with ports.database.read() as work:
        half = work.sign_ins.by_token(hash_of(who.token))
    if half is None or half.whole or now >= half.ends_at(administrator=True):
        raise NotSignedIn("This took too long.", hint="Begin again with your name.")
    ports.attempts.step(who.address, half.person, ports.clock.monotonic())
    with ports.database.write() as work:
        person, kept = work.people.get(half.person), work.people.secrets(half.person)
        step = phone.step_of(kept.totp, code[:LONGEST_SECRET], now, after=kept.totp_step) if kept.totp else None
        spare = phone.recovery_hash(code[:LONGEST_SECRET])
        if person is not None and person.active and work.sign_ins.get(half.id) is not None and (step or spare in kept.recovery):
            left = tuple(each for each in kept.recovery if each != spare)
            work.people.put_secrets(replace(kept, totp_step=step or kept.totp_step, recovery=left if step is None else kept.recovery))
            opened = _opened(ports, work, person.name, who, whole=True)
            how = "the phone" if step else f"a recovery code, {len(left)} left"
            ports.note(
                work, person.name, f"signed in from {who.address} with {how}", verb="sign-in", noun="person", by=_at_door(person.name, who)
            )
            work.commit()
            ports.attempts.succeeded(who.address, person.name)
            return opened
    _failed(ports, half.person, who)
    raise NotAllowed("This code is not right, or was used already.", hint="Wait for the next one on your phone, or use a recovery code.")


def caller_of(ports: Ports, token: str, *, address: str, touch: bool = True) -> Caller | None:
    """For whom this cookie stands now: with the rights of this moment, which are none for who must set up a second factor. None when it is
    nobody's (any more). `touch`: somebody did something, so that it lives on."""
    now = ports.clock.now()
    with ports.database.read() as work:
        found = work.sign_ins.by_token(hash_of(token))
        person = work.people.get(found.person) if found is not None and found.person != SHELL else None
        owes = person is not None and second_factor.owes(work, person)
    if found is None or not found.whole:
        return None
    if found.person != SHELL and (person is None or not person.active):
        return None
    administers = person is None or person.administers
    if now >= found.ends_at(administrator=administers):
        return None
    if touch and now - found.seen_at >= SEEN_EVERY:
        _seen(ports, found)
    return Caller(
        kind=CallerKind.PERSON,
        name=found.person,
        person=found.person,
        grants=EVERYTHING if person is None else () if owes else person.grants,
        address=address,
        sign_in=found.id,
        owes_factor=owes,
    )


def leave(ports: Ports, token: str) -> None:
    """This cookie buys nothing any more, whoever has a copy."""
    with ports.database.write() as work:
        found = work.sign_ins.by_token(hash_of(token))
        if found is None:
            return
        work.sign_ins.remove(found.id)
        ports.note(work, found.person, f"signed out from {found.address}", verb="sign-out", noun="person")
        work.commit()


@enrolling
def confirm(ports: Ports, password: str) -> SignIn:
    """The password (for the shell's administrator: a new code of the command line) was given in this sign-in just now. Raises NotAllowed,
    TooManyRequests."""
    caller = ports.caller
    ports.attempts.step(caller.address, caller.person, ports.clock.monotonic())
    if caller.person == SHELL:
        known = setup.known(ports, password[:LONGEST_SECRET])
    else:
        known = None
        with ports.database.read() as work:
            kept = work.people.secrets(caller.person)
        if not passwords.matches(kept.password, _as_hashed(password)):
            _failed(ports, caller.person, From(address=caller.address))
            raise NotAllowed("This is not your password.", hint="Try again.")
    with ports.database.write() as work:
        if known is not None:
            setup.spend(work, known)
        found = work.sign_ins.get(caller.sign_in)
        if found is None:
            raise NotSignedIn
        found = replace(found, confirmed_at=ports.clock.now())
        work.sign_ins.update(found)
        ports.note(work, caller.person, "gave the password once more", verb="confirm", noun="person")
        work.commit()
    ports.attempts.succeeded(caller.address, caller.person)
    return found


@own_or_tended
def end(ports: Ports, id: str) -> SignIn:
    """This sign-in has ended: one's own, or with SITE anybody's. Raises NotFound, MustConfirm (somebody else's)."""
    with ports.database.write() as work:
        found = work.sign_ins.get(id)
        if found is None:
            raise NotFound("sign-in", id)
        if found.person != ports.caller.person:
            if not ports.caller.may(Right.SITE, None):
                raise NotFound("sign-in", id)
            people.confirmed(ports)
        work.sign_ins.remove(id)
        ports.note(work, found.person, f"sign-in from {found.address} ended by {ports.caller.name}", verb="sign-out", noun="person")
        work.commit()
    return found


def hash_of(token: str) -> str:
    """What is kept of a random token: it has 256 bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _opened(ports: Ports, work: UnitOfWork, person: str, who: From, *, whole: bool) -> Opened:
    now, token = ports.clock.now(), secrets.token_urlsafe(TOKEN_BYTES)
    before = work.sign_ins.by_token(hash_of(who.token)) if who.token else None
    if before is not None:
        work.sign_ins.remove(before.id)
    made = SignIn(
        id=secrets.token_hex(ID_BYTES),
        person=person,
        whole=whole,
        address=who.address,
        agent=one_line(who.agent, AGENT_LENGTH),
        made_at=now,
        seen_at=now,
        confirmed_at=now,
    )
    work.sign_ins.add(made, hash_of(token))
    return Opened(sign_in=made, token=token)


def _seen(ports: Ports, found: SignIn) -> None:
    try:
        with ports.database.write() as work:
            there = work.sign_ins.get(found.id)
            if there is not None:
                work.sign_ins.update(replace(there, seen_at=ports.clock.now()))
                work.commit()
    except DatabaseError as error:
        log.warning("it was not written down that a sign-in is used: %s", error)


def _at_door(name: str, who: From, kind: CallerKind = CallerKind.PERSON) -> Caller:
    """Who comes in, for the audit: the request itself is still nobody's."""
    return Caller(kind=kind, name=name, address=who.address)


def _failed(ports: Ports, name: str, who: From) -> None:
    """The same is written for every name, so that nobody learns from the time it takes."""
    ports.attempts.failed(name, ports.clock.monotonic())
    with ports.database.write() as work:
        ports.note(
            work,
            "door",
            f"a sign-in as {name[:64]!r} from {who.address} failed",
            verb="sign-in",
            noun="site",
            outcome=Outcome.REFUSED,
            by=_at_door("nobody", who, CallerKind.TERMINAL),
        )
        work.commit()


def _as_hashed(password: str) -> str:
    return unicodedata.normalize("NFC", password[:LONGEST_SECRET])
