# SPDX-License-Identifier: MIT
"""Passwords: hashed with argon2id (RFC 9106), checked equal work for unknown names, refused when everybody tries them first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from labvirt.domain.person import check_password
from labvirt.errors import Exhausted, InvalidInput

HASHER = PasswordHasher()
"""RFC 9106's second recommended option: 64 MiB, 3 passes, 4 lanes; some 0.2 s."""
AT_ONCE = 2
"""Hashes made at the same time by this process: 128 MiB, and two processors at most while somebody guesses."""
PATIENCE_SECONDS = 10.0

_places = threading.BoundedSemaphore(AT_ONCE)


def checked(password: str, *, names: tuple[str, ...] = (), field: str = "password") -> str:
    """The password as it is hashed. Raises InvalidInput when its length is wrong, when it is one of the most common ones, or one of
    `names`."""
    normal = check_password(password, field)
    folded = normal.casefold()
    if folded in _common() or folded in {name.casefold() for name in names if name}:
        raise InvalidInput(
            field, "is one that is tried first by whoever guesses", hint="Choose some words that belong together only for you."
        )
    return normal


def hashed(password: str) -> str:
    """What is kept of it. Raises Exhausted when too many are being hashed."""
    with _place():
        return HASHER.hash(password)


def matches(kept: str, password: str) -> bool:
    """Is this the password of that hash? An empty `kept` costs the same and never matches. Raises Exhausted."""
    with _place():
        try:
            HASHER.verify(kept or _nobodys(), password)
        except (VerificationError, InvalidHashError):
            return False
        return bool(kept)


def is_old(kept: str) -> bool:
    """Was it hashed with other parameters than today's?"""
    return HASHER.check_needs_rehash(kept)


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(timeout=PATIENCE_SECONDS):
        raise Exhausted("passwords", "Too many people are signing in at once.", hint="Try again in a moment.")
    try:
        yield
    finally:
        _places.release()


@cache
def _nobodys() -> str:
    return HASHER.hash("nobody's password, never kept")


@cache
def _common() -> frozenset[str]:
    text = files("labvirt.usecases").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))
