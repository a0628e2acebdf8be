# SPDX-License-Identifier: MIT
"""GET /events: server-sent events (WHATWG HTML, 9.2) that only say 'something changed'; the page then fetches what it shows."""

from __future__ import annotations

import asyncio

from labvirt.web.asgi import Receive, Scope, Send, header, respond, while_connected
from labvirt.web.published import Published
from labvirt.web.ui.sign_in import SignIns

HEARTBEAT_SECONDS = 15.0
CALM_SECONDS = 0.25
"""Changes closer together than this are told once."""


class EventsRoute:
    """One open stream costs one future. Streams beyond MOST are refused, so that they cannot eat the process."""

    MOST = 500

    def __init__(self, published: Published, sign_ins: SignIns) -> None:
        self._published = published
        self._sign_ins = sign_ins
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = header(scope, b"cookie")
        if scope["method"] != "GET":
            await respond(send, 405, b"", {"allow": "GET"})
        elif not self._sign_ins.valid_header(cookies):
            await respond(send, 401, b"", {"cache-control": "no-store"})
        elif self.open >= self.MOST:
            await respond(send, 503, b"", {"cache-control": "no-store", "retry-after": "10"})
        else:
            self.open += 1
            try:
                await while_connected(receive, self._stream(cookies, send))
            finally:
                self.open -= 1

    async def _stream(self, cookies: str, send: Send) -> None:
        """Until the sign-in ends (the browser connects again, hears 401 and goes to the door) or this process does."""
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        seen = self._published.revision("")
        await self._say(send, f"event: hello\ndata: {seen}\n\n")
        while self._sign_ins.valid_header(cookies) and not self._published.closed():
            if await self._published.wait("", seen, HEARTBEAT_SECONDS):
                if self._published.closed():
                    break
                await asyncio.sleep(CALM_SECONDS)
                seen = self._published.revision("")
                await self._say(send, f"event: change\ndata: {seen}\n\n")
            else:
                await self._say(send, ": still here\n\n")
        await send({"type": "http.response.body", "body": b""})

    @staticmethod
    async def _say(send: Send, text: str) -> None:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
