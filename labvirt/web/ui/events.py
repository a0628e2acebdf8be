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


class Crier:
    """Waits for news once for all streams, and puts them into words once. It works while somebody listens. On the event loop only."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._listening: set[asyncio.Future[tuple[int, bytes]]] = set()
        self._crying: asyncio.Task[None] | None = None
        self._told, self._words = -1, b""

    async def next(self, seen: int) -> tuple[int, bytes]:
        """The next revision above `seen` and the words for it, or that there was none for HEARTBEAT_SECONDS. Who was still busy with the
        last words when others were told hears at once what there was since."""
        if self._told > seen or self._published.closed():
            return self._told, self._words
        future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._listening.add(future)
        if self._crying is None or self._crying.done():
            self._crying = asyncio.create_task(self._cry(seen))
        try:
            return await future
        finally:
            self._listening.discard(future)

    async def _cry(self, seen: int) -> None:
        """Until nobody listens, or the process ends: then nobody is held any more."""
        while self._listening and not self._published.closed():
            news = await self._published.wait("", max(seen, self._told), HEARTBEAT_SECONDS)
            if news and not self._published.closed():
                await asyncio.sleep(CALM_SECONDS)
                self._told = self._published.revision("")
                self._words = b"event: change\ndata: %d\n\n" % self._told
            self._tell((self._told, self._words) if news else (max(seen, self._told), b": still here\n\n"))
            await asyncio.sleep(0)  # those who have heard this listen again
        self._tell((self._told, self._words))

    def _tell(self, words: tuple[int, bytes]) -> None:
        listening, self._listening = self._listening, set()
        for future in listening:
            if not future.done():
                future.set_result(words)


class EventsRoute:
    """One open stream costs one future. Streams beyond MOST are refused, so that they cannot eat the process."""

    MOST = 500

    def __init__(self, published: Published, at_door: Guard) -> None:
        self._published = published
        self._crier = Crier(published)
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
        await self._say(send, b"event: hello\ndata: %d\n\n" % seen)
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while not self._published.closed():
            if loop.time() - asked >= ASKED_AGAIN_SECONDS:
                asked = loop.time()
                if not await self._is_somebody(scope):
                    break
            told, words = await self._crier.next(seen)
            seen = max(seen, told)
            if not self._published.closed():
                await self._say(send, words)
        await send({"type": "http.response.body", "body": b""})

    async def _is_somebody(self, scope: Scope) -> bool:
        return guard.is_ready(await asyncio.get_running_loop().run_in_executor(self.pool, self._guard.caller_of_scope, scope))

    @staticmethod
    async def _say(send: Send, words: bytes) -> None:
        await send({"type": "http.response.body", "body": words, "more_body": True})
