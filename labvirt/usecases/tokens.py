# SPDX-License-Identifier: MIT
"""API tokens: what programs sign themselves with, on behalf of a person, never with more rights than that person has now."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.caller import Caller, CallerKind
from labvirt.domain.names import check_name
from labvirt.domain.person import SHELL, TOKEN_DAYS, TOKEN_DAYS_MOST, ApiToken
from labvirt.domain.right import Right
from labvirt.errors import Conflict, DatabaseError, InvalidInput, NotAllowed, NotFound, NotSignedIn
from labvirt.usecases import people
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import own_or_tended
from labvirt.usecases.sign_in import hash_of

log = logging.getLogger(__name__)

PREFIX = "lvt_"
"""So that scanners of public code know one when somebody has published it."""
MOST = 20
"""Of one person."""
USED_EVERY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """`secret` is shown once and kept nowhere."""

    token: ApiToken
    secret: str

    def __repr__(self) -> str:
        return f"Minted({self.token!r})"


@own_or_tended
def everything(ports: Ports, person: str | None = None) -> tuple[ApiToken, ...]:
    """One's own tokens (`person` None), or somebody's, for who looks after the site; for the command line, and who came with
    its code, None is everybody. Raises
    NotFound, NotAllowed."""
    whose = _whose(ports, person)
    with ports.database.read() as work:
        return work.tokens.of(None if whose is None else work.people.one(whose).name)


@own_or_tended
def one(ports: Ports, id: str) -> ApiToken:
    """One's own, or with SITE anybody's. Raises NotFound."""
    with ports.database.read() as work:
        return _mine(ports, work, id)


@own_or_tended
def add(ports: Ports, name: str, *, person: str | None = None, rights: Collection[Right] | None = None, days: int = TOKEN_DAYS) -> Minted:
    """A new token of one's own (on the command line: of `person`), good for so many days. `rights` None: for everything that its person may
    do (but changing people, which must be named); else for these, and to look. One that a token makes has no more rights, lives no
    longer, and is taken back with it. Raises InvalidInput, AlreadyExists, Conflict (too many), MustConfirm,
    NotAllowed (somebody else's, or more than one has)."""
    people.confirmed(ports)
    whose = _whose(ports, person)
    if whose is None:
        raise InvalidInput("person", "must be named")
    if ports.caller.kind is not CallerKind.MACHINE and whose != ports.caller.person:
        raise NotAllowed("A token is made by the person themselves.", hint="On the controller: labvirt token add PERSON NAME")
    check_name(name, "name")
    if not 1 <= days <= TOKEN_DAYS_MOST:
        raise InvalidInput("days", f"must be 1 to {TOKEN_DAYS_MOST}")
    if ports.caller.rights is not None:
        rights = _narrowed(ports.caller.rights, rights)
    now, secret = ports.clock.now(), f"{PREFIX}{secrets.token_urlsafe(32)}"
    token = ApiToken(
        id=secrets.token_hex(8),
        person=whose,
        name=name,
        rights=None if rights is None else frozenset(rights) | {Right.LOOK},
        made_at=now,
        expires_at=now + timedelta(days=days),
    )
    with ports.database.write() as work:
        work.people.one(whose)
        if len(work.tokens.of(whose)) >= MOST:
            raise Conflict(f"{whose} has {MOST} tokens already.", hint="Take one back first.")
        if ports.caller.kind is CallerKind.TOKEN:
            parent = _of_caller(ports, work)
            token = replace(token, expires_at=min(token.expires_at, parent.expires_at), made_by=parent.id)
        work.tokens.add(token, hash_of(secret))
        ports.note(work, whose, f"token {name} made by {ports.caller.name}, good until {token.expires_at:%F}")
        work.commit()
    return Minted(token=token, secret=secret)


@own_or_tended
def remove(ports: Ports, id: str) -> tuple[ApiToken, ...]:
    """The token buys nothing any more, nor do those that it made, and those that they made: one's own, or with SITE anybody's. All that
    are gone, the named one first. Raises NotFound."""
    with ports.database.write() as work:
        found = _mine(ports, work, id)
        gone = _with_made(work, found)
        for each in reversed(gone):  # the database would take them with it, but says nothing of them
            with_it = "" if each is found else f" with {found.name}, from which it comes"
            ports.note(work, each.person, f"token {each.name} taken back{with_it} by {ports.caller.name}")
            work.tokens.remove(each.id)
        work.commit()
    return gone


def caller_of(ports: Ports, secret: str, *, address: str) -> Caller | None:
    """For whom this token stands now; None when it is nobody's (any more)."""
    if not secret.startswith(PREFIX):
        return None
    now = ports.clock.now()
    with ports.database.read() as work:
        found = work.tokens.by_token(hash_of(secret))
        person = work.people.get(found.person) if found is not None else None
    if found is None or person is None or not person.active or now >= found.expires_at:
        return None
    if found.used_at is None or now - found.used_at >= USED_EVERY:
        _used(ports, found)
    return Caller(
        kind=CallerKind.TOKEN,
        name=f"{person.name} (token {found.name})",
        person=person.name,
        grants=person.grants,
        rights=found.rights,
        address=address,
        sign_in=f"token {found.id}",
    )


def _mine(ports: Ports, work: UnitOfWork, id: str) -> ApiToken:
    found = work.tokens.get(id)
    if found is None or (found.person != ports.caller.person and not ports.caller.may(Right.SITE, None)):
        raise NotFound("token", id)
    return found


def _with_made(work: UnitOfWork, first: ApiToken) -> tuple[ApiToken, ...]:
    """The token and all that come from it; each behind the one that made it."""
    theirs, found = work.tokens.of(first.person), [first]
    for each in found:
        found += [one for one in theirs if one.made_by == each.id]
    return tuple(found)


def _narrowed(own: frozenset[Right], wanted: Collection[Right] | None) -> Collection[Right]:
    """What a token with these rights may give to another one. Raises NotAllowed."""
    if wanted is None or set(wanted) <= own:
        return own if wanted is None else wanted
    raise NotAllowed("A token makes no token that may more than itself.", hint="Leave out the rights that it has not.")


def _of_caller(ports: Ports, work: UnitOfWork) -> ApiToken:
    """The token that calls. Raises NotSignedIn: it was taken back just now."""
    found = work.tokens.get(ports.caller.sign_in.removeprefix("token "))
    if found is None:
        raise NotSignedIn
    return found


def _whose(ports: Ports, person: str | None) -> str | None:
    if ports.caller.kind is CallerKind.MACHINE or (person is None and ports.caller.person == SHELL):
        return person
    if person in (None, ports.caller.person):
        return ports.caller.person
    if not ports.caller.may(Right.SITE, None):
        raise NotFound("person", str(person))
    return person


def _used(ports: Ports, found: ApiToken) -> None:
    try:
        with ports.database.write() as work:
            if work.tokens.get(found.id) is not None:
                work.tokens.update(replace(found, used_at=ports.clock.now()))
                work.commit()
    except DatabaseError as error:
        log.warning("it was not written down that a token is used: %s", error)
