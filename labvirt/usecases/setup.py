# SPDX-License-Identifier: MIT
"""The first things a site needs: built-in terminal classes, its host, and the one-time set-up code instead of a
default password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.host import Host
from labvirt.domain.terminal import CODE_LETTERS
from labvirt.domain.terminal_class import BUILT_IN
from labvirt.errors import Conflict, NotAllowed
from labvirt.usecases import audit
from labvirt.usecases.ports import Ports

CODE_FACT = "setup-code"
USERS_FACT = "has-user"
"""Set by the first sign-in that makes an account; after that no set-up code is ever valid."""
SIGN_IN_FACT = "sign-in-code"
SIGN_IN_MINUTES = 10
MADE_FACT = "made-at"
SITE_FACT = "site-id"

CODE_GROUPS, CODE_GROUP = 3, 5
"""15 letters of 32: 75 bits."""

_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}
"""RFC 7914 section 2, the interactive parameters; the code is random, so this only slows a thief of the file."""


def init(ports: Ports, *, host: str, again: bool = False) -> str:
    """The site is set up, and the code given back is the only one that is valid; only its hash is kept.

    A site that exists is left alone (Conflict), unless `again` asks for a new code and no account was made yet.
    """
    with ports.database.write() as work:
        made = work.facts.get(MADE_FACT)
        if made is not None and not again:
            raise Conflict(
                "This state folder is set up already: nothing was changed.",
                hint="Lost the set-up code? Get a new one: labvirt init --again",
            )
        if work.facts.get(USERS_FACT) is not None:
            raise Conflict("There is an account already, so there is no set-up code any more.", hint="Sign in with that account.")
        if made is None:
            for each in BUILT_IN:
                if work.classes.get(each.name) is None:
                    work.classes.add(each)
            if not work.hosts.list():
                work.hosts.add(Host(name=host))
            work.facts.put(MADE_FACT, ports.clock.now().isoformat())
            work.facts.put(SITE_FACT, secrets.token_hex(8))
            ports.note(work, "site", "set up", verb="set-up", noun="site")
        code = _new_code()
        work.facts.put(CODE_FACT, _hash(code, secrets.token_bytes(16)))
        if made is not None:
            ports.note(work, "site", "a new set-up code was made; the old one is void", verb="mint-code", noun="site")
        work.commit()
    return code


def sign_in_code(ports: Ports) -> str:
    """A new code that opens the pages once, within `SIGN_IN_MINUTES`; the one before is void. For people with a
    shell on the controller.
    """
    code = _new_code()
    with ports.database.write() as work:
        until = ports.clock.now() + timedelta(minutes=SIGN_IN_MINUTES)
        work.facts.put(SIGN_IN_FACT, f"{until.isoformat()} {_hash(code, secrets.token_bytes(16))}")
        ports.note(work, "site", "a sign-in code was made on the command line", verb="mint-code", noun="site")
        work.commit()
    return code


@dataclass(frozen=True, slots=True)
class KnownCode:
    """A code that is good now. `first`: it is the set-up code, which makes the first administrator; else one of the command line."""

    fact: str
    value: str

    @property
    def first(self) -> bool:
        return self.fact == CODE_FACT


def known(ports: Ports, code: str) -> KnownCode:
    """What this code is good for; it is not used up by being looked at.

    Raises NotAllowed for any other word, after some 50 ms of work; how often one may try is the caller's to bound.
    """
    given = "-".join(code.upper().replace("-", " ").split())
    with ports.database.read() as work:
        codes = tuple(_codes(work, ports.clock.now()))
    # The slow part holds no lock: who guesses at the door must not keep the others from writing.
    found = next((KnownCode(fact, value) for fact, value, kept in codes if _matches(given, kept)), None)
    if found is None:
        audit.denied(ports, "sign-in", "site", "was shown a code that is not valid", noun="site")
        raise _not_valid()
    return found


def spend(work: UnitOfWork, code: KnownCode) -> None:
    """The code is void from this unit of work on. Raises NotAllowed when somebody was faster."""
    if work.facts.get(code.fact) != code.value:
        raise _not_valid()
    work.facts.remove(code.fact)


def has_people(ports: Ports) -> bool:
    """Has anybody an account, made with the set-up code or by somebody with a shell?"""
    with ports.database.read() as work:
        return bool(work.people.list())


def is_done(ports: Ports) -> bool:
    """Was `init` run here?"""
    with ports.database.read() as work:
        return work.facts.get(MADE_FACT) is not None


def _not_valid() -> NotAllowed:
    return NotAllowed("This code is not valid (any more).", hint="Get a new one on the controller: labvirt code")


def _codes(work: UnitOfWork, now: datetime) -> Iterator[tuple[str, str, str]]:
    """The codes that are good now: name of the fact, its value, the hash in it."""
    setup = work.facts.get(CODE_FACT)
    if setup is not None and work.facts.get(USERS_FACT) is None:
        yield CODE_FACT, setup, setup
    minted = work.facts.get(SIGN_IN_FACT)
    if minted is not None:
        until, kept = minted.split(" ")
        if now < datetime.fromisoformat(until):
            yield SIGN_IN_FACT, minted, kept


def _new_code() -> str:
    return "-".join("".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_GROUP)) for _ in range(CODE_GROUPS))


def _hash(code: str, salt: bytes) -> str:
    return f"scrypt${salt.hex()}${hashlib.scrypt(code.encode(), salt=salt, **_SCRYPT).hex()}"


def _matches(code: str, kept: str) -> bool:
    return hmac.compare_digest(_hash(code, bytes.fromhex(kept.split("$")[1])), kept)
