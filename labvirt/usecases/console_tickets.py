# SPDX-License-Identifier: MIT
"""The tickets to consoles that were sold and not yet used, in this process's memory. Only digests are kept: who reads them buys nothing."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass

from labvirt.domain.caller import Caller
from labvirt.domain.console import Console
from labvirt.errors import Exhausted, NotAllowed, TooManyRequests

LIFE_SECONDS = 60.0
SECRET_BYTES = 32
PER_PERSON = 30
"""A teacher who opens a whole lab at once."""
MOST = 2000

REFUSED = NotAllowed("This ticket is not valid.", hint="A ticket opens one console, once, within 60 s, in the sign-in that bought it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sold:
    console: Console
    buyer: tuple[str, str, str]
    until: float


class ConsoleTickets:
    """Safe from any thread. Time is handed in (monotonic seconds)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sold: dict[bytes, _Sold] = {}

    def sell(self, console: Console, caller: Caller, now: float) -> str:
        """The secret of a new ticket. Raises TooManyRequests, Exhausted."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        buyer = _buyer(caller)
        with self._lock:
            self._sold = {key: sold for key, sold in self._sold.items() if sold.until > now}
            waiting = [sold.until for sold in self._sold.values() if sold.buyer == buyer]
            if len(waiting) >= PER_PERSON:
                raise TooManyRequests("A console", max(1, round(min(waiting) - now)))
            if len(self._sold) >= MOST:
                raise Exhausted("tickets", "Too many consoles are being opened at once.", hint="Try again in a minute.")
            self._sold[_digest(secret)] = _Sold(console=console, buyer=buyer, until=now + LIFE_SECONDS)
        return secret

    def take(self, secret: str, caller: Caller, now: float) -> Console:
        """What it opens. It is gone afterwards, also when it is refused: a ticket that somebody else shows is not given another chance.
        Raises NotAllowed, which does not say why."""
        with self._lock:
            sold = self._sold.pop(_digest(secret), None)
        if sold is None or sold.until <= now or sold.buyer != _buyer(caller):
            raise NotAllowed(REFUSED.sentence, hint=REFUSED.hint)
        return sold.console


def _buyer(caller: Caller) -> tuple[str, str, str]:
    return str(caller.kind), caller.name, caller.sign_in


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
