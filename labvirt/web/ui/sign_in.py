# SPDX-License-Identifier: MIT
"""Signed-in browsers: a signed, expiring cookie that only a one-time code can buy. People with names come in an issue of their own."""

from __future__ import annotations

import hashlib
import secrets
import threading
from http.cookies import CookieError, SimpleCookie

from itsdangerous import BadSignature, TimestampSigner

from labvirt.contracts.clock import Clock
from labvirt.usecases.pace import Pace

COOKIE = "labvirt_sign_in"
LIFE_SECONDS = 12 * 3600
"""Absolute bound of a sign-in (OWASP ASVS 5.0, 7.3.2)."""

TRIES = 10
TRIES_SECONDS = 60.0


class _Signer(TimestampSigner):
    """Signs with the clock that it is given."""

    def __init__(self, secret_key: bytes, clock: Clock) -> None:
        super().__init__(secret_key, salt="labvirt-sign-in", digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock.now().timestamp())


class SignIns:
    """Issues, checks and ends sign-ins. Guessing is bounded per source address, so that nobody can keep others out.

    Sign-ins that were ended are remembered in memory for as long as their cookie would live; a restart of this process forgets them.
    """

    def __init__(self, secret_key: bytes, clock: Clock) -> None:
        self._signer = _Signer(secret_key, clock)
        self._clock = clock
        self._pace = Pace(TRIES, TRIES_SECONDS)
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def issue(self) -> str:
        """The value of a new cookie."""
        return self._signer.sign(secrets.token_hex(8)).decode()

    def valid(self, value: str | None) -> bool:
        """Was this value issued here, is it young enough and not ended?"""
        name = self._name(value)
        return name is not None and name not in self._ended

    def valid_header(self, cookie_header: str) -> bool:
        """The same for a whole Cookie header (native routes)."""
        return self.valid(_cookie(cookie_header))

    def who(self, value: str | None) -> str | None:
        """How this sign-in is called where it is written down who did something; None when it is not valid. No secret: it buys nothing."""
        name = self._name(value)
        return f"browser {name[:6]}" if name is not None and name not in self._ended else None

    def who_header(self, cookie_header: str) -> str | None:
        """The same for a whole Cookie header (native routes)."""
        return self.who(_cookie(cookie_header))

    def end(self, value: str | None) -> None:
        """This cookie buys nothing any more, whoever has a copy."""
        name = self._name(value)
        if name is None:
            return
        now = self._clock.monotonic()
        with self._lock:
            self._ended = {**{n: at for n, at in self._ended.items() if now - at < LIFE_SECONDS}, name: now}

    def count_try(self, source: str) -> None:
        """Call before a code is checked. Raises TooManyRequests."""
        self._pace.step(source, "The door", self._clock.monotonic())

    def _name(self, value: str | None) -> str | None:
        if not value:
            return None
        try:
            return self._signer.unsign(value, max_age=LIFE_SECONDS).decode()
        except (BadSignature, UnicodeDecodeError):
            return None


def _cookie(cookie_header: str) -> str | None:
    try:
        morsel = SimpleCookie(cookie_header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None
