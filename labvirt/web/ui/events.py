# SPDX-License-Identifier: MIT
"""GET /events: server-sent events (WHATWG HTML, 9.2) that only say 'something changed'; the page then fetches what it shows."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from labvirt.web.asgi import Receive, Scope, Send, respond, while_connected
from labvirt.web.published import Published
from labvirt.web.ui import guard
from labvirt.web.ui.guard import Guard

HEARTBEAT_SECONDS = 15.0
ASKED_AGAIN_SECONDS = 10.0
"""So often it is looked up whether who listens is still somebody: at most 25 s with the heartbeat (OWASP ASVS 5.0: 30 s)."""
CALM_SECONDS = 0.25
"""Changes closer together than this are told once."""


class EventsRoute:
    """One open stream costs one future. Streams beyond MOST are refused, so that they cannot eat the process."""

    MOST = 500

    def __init__(self, published: Published, at_door: Guard) -> None:
        self._published = published
        self._guard = at_door
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="events")
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await respond(send, 405, b"", {"allow": "GET"})
        elif not await self._is_somebody(scope):
            await respond(send, 401, b"", {"cache-control": "no-store", **guard.ASK_FOR_TOKEN})
        elif self.open >= self.MOST:
            await respond(send, 503, b"", {"cache-control": "no-store", "retry-after": "10"})
        else:
            self.open += 1
            try:
                await while_connected(receive, self._stream(scope, send))
            finally:
                self.open -= 1

    async def _stream(self, scope: Scope, send: Send) -> None:
        """Until the sign-in ends (the browser connects again, hears 401 and goes to the door) or this process does."""
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        seen = self._published.revision("")
        await self._say(send, f"event: hello\ndata: {seen}\n\n")
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while not self._published.closed():
            if loop.time() - asked >= ASKED_AGAIN_SECONDS:
                asked = loop.time()
                if not await self._is_somebody(scope):
                    break
            if await self._published.wait("", seen, HEARTBEAT_SECONDS):
                if self._published.closed():
                    break
                await asyncio.sleep(CALM_SECONDS)
                seen = self._published.revision("")
                await self._say(send, f"event: change\ndata: {seen}\n\n")
            else:
                await self._say(send, ": still here\n\n")
        await send({"type": "http.response.body", "body": b""})

    async def _is_somebody(self, scope: Scope) -> bool:
        return guard.is_ready(await asyncio.get_running_loop().run_in_executor(self.pool, self._guard.caller_of_scope, scope))

    @staticmethod
    async def _say(send: Send, text: str) -> None:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
