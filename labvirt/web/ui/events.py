# SPDX-License-Identifier: MIT
"""GET /events: server-sent events (WHATWG HTML, 9.2) that only say 'something changed'; the page then fetches what it shows."""

from __future__ import annotations

import asyncio

from labvirt.web.published import Published
from labvirt.web.terminal.question import Receive, Scope, Send
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
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"), "")
        if not self._sign_ins.valid_header(cookies):
            await self._refuse(send, 401)
        elif self._open >= self.MOST:
            await self._refuse(send, 503)
        else:
            self._open += 1
            gone = asyncio.ensure_future(self._gone(receive))
            streaming = asyncio.ensure_future(self._stream(send))
            try:
                await asyncio.wait({gone, streaming}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._open -= 1
                gone.cancel()
                streaming.cancel()

    async def _stream(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        seen = self._published.revision("")
        await self._say(send, f"event: hello\ndata: {seen}\n\n")
        while True:
            changed = await self._published.wait("", seen, HEARTBEAT_SECONDS)
            if changed:
                await asyncio.sleep(CALM_SECONDS)
                seen = self._published.revision("")
                await self._say(send, f"event: change\ndata: {seen}\n\n")
            else:
                await self._say(send, ": still here\n\n")

    @staticmethod
    async def _say(send: Send, text: str) -> None:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    @staticmethod
    async def _gone(receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    @staticmethod
    async def _refuse(send: Send, status: int) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
