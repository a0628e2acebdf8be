# SPDX-License-Identifier: MIT
"""The little that native ASGI routes share: reading headers, answering, noticing that the client has gone, bounded request bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from labvirt.errors import InvalidInput

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

T = TypeVar("T")


def header(scope: Scope, name: bytes) -> str:
    """The value of this header (lower case); several are joined by a comma, none is ''."""
    return ", ".join(value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name)


async def respond(send: Send, status: int, content: bytes, headers: Mapping[str, str], *, head: bool = False) -> None:
    """One whole answer. A 304 carries neither body nor length (RFC 9110, 15.4.5)."""
    told = {"x-content-type-options": "nosniff", **headers}
    if status != 304:
        told["Content-Length"] = str(len(content))
    await send({"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode("latin-1")) for k, v in told.items()]})
    await send({"type": "http.response.body", "body": b"" if head or status == 304 else content})


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` came to, or None when the client went away first; `work` has ended in every case."""
    gone = asyncio.ensure_future(_disconnected(receive))
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({gone, working}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        gone.cancel()
        working.cancel()
        await asyncio.gather(gone, working, return_exceptions=True)


async def read_body(receive: Receive, largest: int) -> bytes | None:
    """The whole request body; None when the client went away. Raises InvalidInput for more than `largest` bytes."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > largest:
            raise InvalidInput("body", f"must be at most {largest} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was read already, then what really comes."""
    told = False

    async def again() -> dict[str, Any]:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
