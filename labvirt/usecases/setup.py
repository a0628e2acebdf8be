# SPDX-License-Identifier: MIT
"""The first things a site needs: built-in terminal classes, its host, and the one-time set-up code instead of a
default password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from labvirt.domain.host import Host
from labvirt.domain.terminal import CODE_LETTERS
from labvirt.domain.terminal_class import BUILT_IN
from labvirt.errors import Conflict
from labvirt.usecases.ports import Ports

CODE_FACT = "setup-code"
USERS_FACT = "has-user"
"""Set by the first sign-in that makes an account; after that no set-up code is ever valid."""
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
            raise Conflict(
                "There is an account already, so there is no set-up code any more.", hint="Sign in with that account."
            )
        if made is None:
            for each in BUILT_IN:
                if work.classes.get(each.name) is None:
                    work.classes.add(each)
            if not work.hosts.list():
                work.hosts.add(Host(name=host))
            work.facts.put(MADE_FACT, ports.clock.now().isoformat())
            work.facts.put(SITE_FACT, secrets.token_hex(8))
            ports.note(work, "site", "set up")
        code = "-".join("".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_GROUP)) for _ in range(CODE_GROUPS))
        work.facts.put(CODE_FACT, _hash(code, secrets.token_bytes(16)))
        if made is not None:
            ports.note(work, "site", "a new set-up code was made; the old one is void")
        work.commit()
    return code


def code_is_valid(ports: Ports, code: str) -> bool:
    """Is this the site's set-up code? Takes some 50 ms on purpose; ask TooManyRequests of your own."""
    with ports.database.read() as work:
        kept = work.facts.get(CODE_FACT)
        if kept is None or work.facts.get(USERS_FACT) is not None:
            return False
    salt = bytes.fromhex(kept.split("$")[1])
    return hmac.compare_digest(_hash(code.strip().upper(), salt), kept)


def is_done(ports: Ports) -> bool:
    """Was `init` run here?"""
    with ports.database.read() as work:
        return work.facts.get(MADE_FACT) is not None


def _hash(code: str, salt: bytes) -> str:
    return f"scrypt${salt.hex()}${hashlib.scrypt(code.encode(), salt=salt, **_SCRYPT).hex()}"
