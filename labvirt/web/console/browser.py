# SPDX-License-Identifier: MIT
"""The browser's end of a console: ASGI's WebSocket messages with deadlines, and why it was closed, in a sentence."""

from __future__ import annotations

import asyncio
import json
from enum import IntEnum
from typing import Any

from labvirt.web.asgi import Receive, Send

FIRST_SECONDS = 5.0
FIRST_BYTES = 1024
"""The first message is a ticket in a little JSON."""
STALL_SECONDS = 30.0
"""A browser that takes nothing for so long is let go; meanwhile only its own console waits."""
END_SECONDS = 2.0
REASON_BYTES = 123
"""RFC 6455, 5.5.1."""


class Ending(IntEnum):
    """Close codes for programs (RFC 6455, 7.4.2: private use); the reason is the sentence for people."""

    GONE = 1000
    """The browser itself went."""
    OVER = 4000
    """The guest's end was closed: it ended, or was started anew."""
    REFUSED = 4001
    """The ticket, the sign-in or the rights do not allow it (any more)."""
    NOT_READY = 4002
    """There is nothing to connect to now; trying again may help."""
    TOO_MANY = 4003
    NOT_UNDERSTOOD = 4004
    SLOW = 4008


class Ended(Exception):
    """A console is over; raised by whatever notices first."""

    def __init__(self, ending: Ending, sentence: str) -> None:
        super().__init__(sentence)
        self.ending = ending
        self.sentence = sentence


class Browser:
    """One accepted WebSocket. Every method raises Ended(GONE) when the other side has gone."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def ticket(self) -> str:
        """What the first message says. Raises Ended: too late, too long, no ticket in it."""
        try:
            message = await asyncio.wait_for(self._next(), FIRST_SECONDS)
        except TimeoutError as error:
            raise Ended(Ending.REFUSED, f"No ticket came within {FIRST_SECONDS:.0f} s.") from error
        text = message.get("text") or ""
        try:
            told: Any = json.loads(text) if len(text) <= FIRST_BYTES else None
        except (ValueError, RecursionError):
            told = None
        ticket = told.get("ticket") if isinstance(told, dict) else None
        if not isinstance(ticket, str) or not ticket:
            raise Ended(Ending.NOT_UNDERSTOOD, 'The first message must be {"ticket": "..."}.')
        return ticket

    async def hear(self) -> bytes:
        """The next bytes for the guest."""
        message = await self._next()
        data = message.get("bytes")
        if data is None:
            raise Ended(Ending.NOT_UNDERSTOOD, "After the ticket only binary messages may come.")
        return bytes(data)

    async def say(self, data: bytes | str) -> None:
        """It was taken, or is the one piece that waits: nothing is piled up for a slow browser."""
        kind = "text" if isinstance(data, str) else "bytes"
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self._send({"type": "websocket.send", kind: data})
        except TimeoutError as error:
            raise Ended(Ending.SLOW, f"Your connection took nothing for {STALL_SECONDS:.0f} s.") from error
        except OSError as error:
            raise Ended(Ending.GONE, "") from error

    async def end(self, ended: Ended) -> None:
        """The browser hears why, if it still listens."""
        if ended.ending is Ending.GONE:
            return
        reason = ended.sentence.encode()[:REASON_BYTES].decode(errors="ignore")
        try:
            await asyncio.wait_for(self._send({"type": "websocket.close", "code": int(ended.ending), "reason": reason}), END_SECONDS)
        except (OSError, TimeoutError, RuntimeError):
            return  # RuntimeError: uvicorn's, when the other side has closed meanwhile

    async def _next(self) -> dict[str, Any]:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise Ended(Ending.GONE, "")
        return message
