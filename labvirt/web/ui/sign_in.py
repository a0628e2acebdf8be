# SPDX-License-Identifier: MIT
"""Signed-in browsers: a signed, expiring cookie that only a one-time code can buy. People with names come in an issue of their own."""

from __future__ import annotations

import threading
from http.cookies import CookieError, SimpleCookie

from itsdangerous import BadSignature, TimestampSigner

from labvirt.contracts.clock import Clock
from labvirt.errors import TooManyRequests

COOKIE = "labvirt_sign_in"
LIFE_SECONDS = 12 * 3600
"""Absolute bound of a sign-in (OWASP ASVS 5.0, 7.3.2)."""

TRIES = 10
TRIES_SECONDS = 60.0


class SignIns:
    """Issues and checks cookies; bounds guessing at the door without ever locking anybody out for longer than a minute."""

    def __init__(self, secret_key: bytes, clock: Clock) -> None:
        self._signer = TimestampSigner(secret_key, salt="labvirt-sign-in")
        self._clock = clock
        self._tries: list[float] = []
        self._lock = threading.Lock()

    def issue(self) -> str:
        """The value of a new cookie."""
        return self._signer.sign(b"administrator").decode()

    def valid(self, value: str | None) -> bool:
        """Was this value issued here and is it young enough?"""
        if not value:
            return False
        try:
            return self._signer.unsign(value, max_age=LIFE_SECONDS) == b"administrator"
        except BadSignature:
            return False

    def valid_header(self, cookie_header: str) -> bool:
        """The same for a whole Cookie header (native routes)."""
        try:
            morsel = SimpleCookie(cookie_header).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and self.valid(morsel.value)

    def count_try(self) -> None:
        """Call before a code is checked. Raises TooManyRequests."""
        now = self._clock.monotonic()
        with self._lock:
            self._tries = [at for at in self._tries if now - at < TRIES_SECONDS]
            if len(self._tries) >= TRIES:
                raise TooManyRequests("The door", int(TRIES_SECONDS - (now - self._tries[0])) + 1)
            self._tries.append(now)
